package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// logins checks the tokens of an issuer. The issuer is asked for its keys when
// the first token comes, and not when the engine starts: it may be what is down.
type logins struct {
	config OIDC

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	failed   error
	again    time.Time
}

const (
	issuerWithin = 5 * time.Second
	issuerAgain  = 2 * time.Second // pause after an issuer that did not answer
)

// identify is who has a token. The errors are errWrong, and errUnreadable while
// the issuer's keys can not be had.
func (l *logins) identify(ctx context.Context, token string) (Identity, error) {
	verifier, err := l.open(ctx)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	var outage error
	verified, err := verifier.Verify(context.WithValue(ctx, outageKey{}, &outage), token)
	switch {
	case outage != nil:
		return Identity{}, fmt.Errorf("%w: %w", errUnreadable, outage)
	case err != nil:
		return Identity{}, fmt.Errorf("%w: %w", errWrong, err)
	}
	var claims map[string]any
	if err := verified.Claims(&claims); err != nil {
		return Identity{}, fmt.Errorf("%w: read the claims: %w", errWrong, err)
	}
	return l.config.identity(claims)
}

func (o OIDC) identity(claims map[string]any) (Identity, error) {
	name, _ := claims[o.NameClaim].(string)
	switch verified, said := claims["email_verified"]; {
	case name == "":
		return Identity{}, fmt.Errorf("%w: the token has no claim %s", errWrong, o.NameClaim)
	case o.NameClaim == "email" && said && verified != true:
		return Identity{}, fmt.Errorf("%w: the token's email is not verified", errWrong)
	}
	who := Identity{Name: name}
	groups := textsOf(claims[o.RolesClaim])
	for _, g := range o.Groups {
		if slices.Contains(groups, g.Name) {
			who.Grants = append(who.Grants, newGrant(g.Roles, g.Runbooks, g.Targets))
		}
	}
	return who, nil
}

func textsOf(claim any) (texts []string) {
	if text, ok := claim.(string); ok {
		return []string{text}
	}
	list, _ := claim.([]any)
	for _, item := range list {
		if text, ok := item.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// open finds the issuer's keys, once.
func (l *logins) open(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.verifier != nil {
		return l.verifier, nil
	}
	if time.Now().Before(l.again) {
		return nil, l.failed
	}
	l.verifier, l.failed = l.discover(ctx)
	l.again = time.Now().Add(issuerAgain)
	return l.verifier, l.failed
}

func (l *logins) discover(ctx context.Context) (*oidc.IDTokenVerifier, error) {
	client, err := l.config.client()
	if err != nil {
		return nil, err
	}
	asking := oidc.ClientContext(context.WithoutCancel(ctx), client)
	provider, err := oidc.NewProvider(asking, l.config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask the issuer %s: %w", l.config.Issuer, err)
	}
	var about struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	if err := provider.Claims(&about); err != nil {
		return nil, fmt.Errorf("read what the issuer %s says of itself: %w", l.config.Issuer, err)
	}
	keys := issuerKeys{oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), client), about.Keys)}
	return oidc.NewVerifier(l.config.Issuer, keys, &oidc.Config{
		ClientID: l.config.Audience, SupportedSigningAlgs: asymmetric(about.Algorithms),
	}), nil
}

// asymmetric are the algorithms for which nobody but the issuer has the key.
func asymmetric(offered []string) []string {
	safe := []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA}
	both := slices.DeleteFunc(slices.Clone(safe), func(a string) bool { return !slices.Contains(offered, a) })
	if len(both) == 0 {
		return []string{oidc.RS256}
	}
	return both
}

func (o OIDC) client() (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CAFile != "" {
		text, err := os.ReadFile(string(o.CAFile))
		if err != nil {
			return nil, fmt.Errorf("auth: oidc.ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("auth: oidc.ca_file: %s has no certificate in PEM", o.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return &http.Client{Transport: transport, Timeout: issuerWithin}, nil
}

// issuerKeys tells an issuer that does not answer from a signature that is not
// valid: the library gives one error for both, and so it is noted in the context.
type issuerKeys struct{ oidc.KeySet }

type outageKey struct{}

func (k issuerKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	payload, err := k.KeySet.VerifySignature(ctx, token)
	if outage, ok := ctx.Value(outageKey{}).(*error); ok && err != nil && strings.HasPrefix(err.Error(), "fetching keys") {
		*outage = err
	}
	return payload, err
}
