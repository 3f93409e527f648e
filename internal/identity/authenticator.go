package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"

	"github.com/runbook-engine/runbook/internal/problem"
)

// Authenticator lets requests through or refuses them.
type Authenticator struct {
	config Config
	// certificates makes a client certificate, which the TLS server has verified,
	// a condition.
	certificates bool
	owner        string  // of the secret
	secret       string  // of a standalone engine, instead of files
	logins       *logins // nil without an issuer
	crossOrigin  *http.CrossOriginProtection
	log          *slog.Logger
}

// New checks credentials as configured. With certificates each request must
// also have come with a client certificate. Its name counts where it is listed,
// or where nothing else is, and the request has no other credentials.
func New(c Config, certificates bool, log *slog.Logger) *Authenticator {
	a := &Authenticator{config: c, certificates: certificates, crossOrigin: http.NewCrossOriginProtection(), log: log}
	if c.OIDC != nil {
		a.logins = &logins{config: *c.OIDC}
	}
	return a
}

// NewForToken knows one token, which is only in memory, and who has it.
func NewForToken(owner, token string, log *slog.Logger) *Authenticator {
	return &Authenticator{owner: owner, secret: token, crossOrigin: http.NewCrossOriginProtection(), log: log}
}

// Open reports that no credentials are asked for. Such an engine must listen on
// the loopback only.
func (a *Authenticator) Open() bool {
	return a.config.Empty() && !a.certificates && a.secret == ""
}

// The reasons for which a request is refused.
var (
	errMissing     = errors.New("authentication is needed: a bearer token, or a user and a password")
	errWrong       = errors.New("the credentials are not valid")
	errCertificate = errors.New("a client certificate is needed")
	errUnlisted    = errors.New("the client certificate is not one of those that may use the engine")
	errHost        = errors.New("without authentication only a loopback name is served; use 127.0.0.1 or localhost, or configure auth")
	errUnreadable  = errors.New("the engine can not tell whether the credentials are valid; see its log")
)

// Middleware gives next the requests that may pass, with their identity.
func (a *Authenticator) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.crossOrigin.Check(r); err != nil {
			a.answer(w, http.StatusForbidden, "cross-site", "a page of another website may not use this engine")
			return
		}
		who, err := a.identify(r)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), who)))
	})
}

// refuse answers 503 where the fault is ours: Alertmanager repeats that, and
// gives up on a 401.
func (a *Authenticator) refuse(w http.ResponseWriter, r *http.Request, reason error) {
	status, code := http.StatusUnauthorized, "unauthenticated"
	switch {
	case errors.Is(reason, errHost):
		status, code = http.StatusForbidden, "host"
	case errors.Is(reason, errUnreadable):
		status, code = http.StatusServiceUnavailable, "credentials-unreadable"
	default:
		a.challenge(w)
	}
	a.log.Warn("request refused", "reason", reason.Error(), "method", r.Method, "path", r.URL.Path, "remote", r.RemoteAddr)
	a.answer(w, status, code, publicly(reason))
}

func (a *Authenticator) answer(w http.ResponseWriter, status int, code, detail string) {
	if err := problem.Write(w, status, code, detail); err != nil {
		a.log.Debug("a problem could not be sent", "error", err)
	}
}

// publicly leaves the details of what is wrong to the log: a stranger would
// learn from them.
func publicly(reason error) string {
	for _, known := range []error{errWrong, errUnreadable} {
		if errors.Is(reason, known) {
			return known.Error()
		}
	}
	return reason.Error()
}

func (a *Authenticator) challenge(w http.ResponseWriter) {
	if len(a.config.Tokens) > 0 || a.secret != "" || a.logins != nil {
		w.Header().Add("WWW-Authenticate", `Bearer realm="runbook"`)
	}
	if len(a.config.Basic) > 0 {
		w.Header().Add("WWW-Authenticate", `Basic realm="runbook", charset="UTF-8"`)
	}
}

func (a *Authenticator) identify(r *http.Request) (Identity, error) {
	if a.Open() {
		return openTo(r)
	}
	certificate, err := a.certificate(r)
	if err != nil {
		return Identity{}, err
	}
	if certificate != nil && r.Header.Get("Authorization") == "" {
		return *certificate, nil
	}
	if a.config.secrets() || a.secret != "" {
		return a.credentials(r)
	}
	if certificate == nil {
		return Identity{}, errUnlisted
	}
	return *certificate, nil
}

// openTo guards an engine without authentication against pages of the web that
// reach the loopback through a name of their own (DNS rebinding).
func openTo(r *http.Request) (Identity, error) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !IsLoopback(strings.Trim(host, "[]")) {
		return Identity{}, errHost
	}
	return Anything(Local), nil
}

// IsLoopback reports whether a host, without its port, is this machine to
// itself.
func IsLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// certificate is who a client certificate says that it is; nobody where another
// credential has to.
func (a *Authenticator) certificate(r *http.Request) (*Identity, error) {
	if !a.certificates {
		return nil, nil
	}
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, errCertificate
	}
	name := nameIn(r.TLS.VerifiedChains[0][0])
	if name == "" {
		return nil, fmt.Errorf("%w that names its owner", errCertificate)
	}
	for _, c := range a.config.certificates() {
		if c.name == name {
			who := c.identity()
			return &who, nil
		}
	}
	if !a.config.Empty() {
		return nil, nil
	}
	return &Identity{Name: name, Grants: []Grant{{Roles: withoutRoles}}}, nil
}

func nameIn(leaf *x509.Certificate) string {
	if len(leaf.DNSNames) > 0 {
		return leaf.DNSNames[0]
	}
	return leaf.Subject.CommonName
}

func (a *Authenticator) credentials(r *http.Request) (Identity, error) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case scheme == "":
		return Identity{}, errMissing
	case strings.EqualFold(scheme, "Bearer"):
		return a.bearer(r.Context(), strings.TrimSpace(given))
	case strings.EqualFold(scheme, "Basic"):
		return a.basic(r)
	}
	return Identity{}, errMissing
}

func (a *Authenticator) bearer(ctx context.Context, given string) (Identity, error) {
	if a.secret != "" {
		if !equal(given, a.secret) {
			return Identity{}, errWrong
		}
		return Anything(a.owner), nil
	}
	who, err := a.find(a.config.tokens(), func(_, secret string) bool { return equal(given, secret) })
	if err != nil && a.logins != nil && strings.Count(given, ".") == 2 {
		return a.logins.identify(ctx, given)
	}
	return who, err
}

func (a *Authenticator) basic(r *http.Request) (Identity, error) {
	user, password, ok := r.BasicAuth()
	if !ok {
		return Identity{}, errWrong
	}
	return a.find(a.config.users(), func(name, secret string) bool {
		isUser, isPassword := equal(user, name), equal(password, secret)
		return isUser && isPassword
	})
}

// find looks at every secret, whichever fits, so that the time tells nothing.
func (a *Authenticator) find(all []credential, fits func(name, secret string) bool) (Identity, error) {
	var found *credential
	reason := errWrong
	for _, c := range all {
		secret, err := c.file.Read()
		if err != nil {
			a.log.Error("a secret can not be read", "auth", c.name, "error", err)
			reason = errUnreadable
			continue
		}
		if fits(c.name, secret) {
			found = &c
		}
	}
	if found == nil {
		return Identity{}, reason
	}
	return found.identity(), nil
}

// equal takes the same time whatever the texts are, their lengths included.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
