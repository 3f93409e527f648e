package identity_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/secret"
)

// desk is a server behind an authenticator, which says who is asking.
type desk struct {
	t   *testing.T
	url string
	log *bytes.Buffer
}

func newDesk(t *testing.T, auth func(*slog.Logger) *identity.Authenticator) *desk {
	d := &desk{t: t, log: &bytes.Buffer{}}
	s := httptest.NewServer(auth(slog.New(slog.NewTextHandler(d.log, nil))).Middleware(http.HandlerFunc(whoami)))
	t.Cleanup(s.Close)
	d.url = s.URL
	return d
}

// whoami says the name, or what they may do.
func whoami(w http.ResponseWriter, r *http.Request) {
	who := identity.FromContext(r.Context())
	if runbook := r.Header.Get("X-Limits"); runbook != "" {
		fmt.Fprint(w, who.For(identity.Approver, runbook) == nil, who.Targets(identity.Approver, runbook))
		return
	}
	if r.Header.Get("X-Roles") == "" {
		fmt.Fprint(w, who.Name)
		return
	}
	names := []string{}
	for _, role := range who.Held("x", everyRole...) {
		names = append(names, string(role))
	}
	fmt.Fprint(w, strings.Join(names, " "))
}

func configured(c identity.Config) func(*slog.Logger) *identity.Authenticator {
	return func(log *slog.Logger) *identity.Authenticator { return identity.New(c, false, log) }
}

// ask sends a request with headers and expects a status; the answer is who asked,
// or why not.
func (d *desk) ask(method string, status int, headers ...string) string {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if response.StatusCode != status {
		d.t.Errorf("%s with %q answered %d %s, want %d", method, headers, response.StatusCode, text, status)
	}
	if status >= http.StatusBadRequest && response.Header.Get("Content-Type") != "application/problem+json" {
		d.t.Errorf("%d is %s, no problem of RFC 9457: %s", status, response.Header.Get("Content-Type"), text)
	}
	if status == http.StatusUnauthorized && response.Header.Get("WWW-Authenticate") == "" {
		d.t.Error("a 401 does not say what is needed")
	}
	return string(text)
}

func file(t *testing.T, text string) secret.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, text)
	return secret.File(path)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

func basic(user, password string) []string {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.SetBasicAuth(user, password)
	return []string{"Authorization", r.Header.Get("Authorization")}
}

func TestCredentialsSayWhoIsAsking(t *testing.T) {
	d := newDesk(t, configured(identity.Config{
		Tokens: []identity.Token{{Name: "alertmanager", File: file(t, "t0ken\n")}, {Name: "ci", File: file(t, "other")}},
		Basic:  []identity.User{{Name: "alice", File: file(t, "pa:ss word")}},
	}))
	for _, c := range []struct {
		headers []string
		who     string
	}{
		{bearer("t0ken"), "alertmanager"}, {bearer("other"), "ci"}, {basic("alice", "pa:ss word"), "alice"},
		{[]string{"Authorization", "bearer t0ken"}, "alertmanager"},
	} {
		if who := d.ask(http.MethodPost, http.StatusOK, c.headers...); who != c.who {
			t.Errorf("%q is %q, want %q", c.headers, who, c.who)
		}
	}
	for _, headers := range [][]string{
		nil, bearer(""), bearer("t0ke"), bearer("t0kenn"), bearer("T0KEN"), basic("alice", "t0ken"), basic("alice", ""), basic("bob", "pa:ss word"),
		basic("ci", "other"), {"Authorization", "Digest x"}, {"Authorization", "Basic !"}, {"Authorization", "t0ken"},
	} {
		d.ask(http.MethodPost, http.StatusUnauthorized, headers...)
	}
	for _, hidden := range []string{"t0ken", "T0KEN", "pa:ss word"} {
		if strings.Contains(d.log.String(), hidden) {
			t.Errorf("the log shows %q", hidden)
		}
	}
}

func TestSecretsAreRenewedInPlace(t *testing.T) {
	token := file(t, "old")
	d := newDesk(t, configured(identity.Config{Tokens: []identity.Token{{Name: "ci", File: token}}}))
	d.ask(http.MethodGet, http.StatusOK, bearer("old")...)
	write(t, string(token), "new")
	d.ask(http.MethodGet, http.StatusUnauthorized, bearer("old")...)
	d.ask(http.MethodGet, http.StatusOK, bearer("new")...)

	// That we can not tell is our fault and passes; a 401 would make Alertmanager
	// give up. An empty secret lets nobody in.
	write(t, string(token), "")
	d.ask(http.MethodGet, http.StatusServiceUnavailable, bearer("")...)
	if err := os.Remove(string(token)); err != nil {
		t.Fatal(err)
	}
	d.ask(http.MethodGet, http.StatusServiceUnavailable, bearer("new")...)
}

// Without authentication only requests that were meant for this machine pass: a
// page of the web that resolves its own name to 127.0.0.1 has another Host.
func TestWithoutAuthenticationOnlyTheLoopback(t *testing.T) {
	d := newDesk(t, configured(identity.Config{}))
	for _, host := range []string{"localhost", "localhost:7250", "LOCALHOST:1", "127.0.0.1:7250", "127.8.8.8", "[::1]:7250", "[::1]"} {
		if who := d.ask(http.MethodGet, http.StatusOK, "Host", host); who != identity.Local {
			t.Errorf("host %s is %q", host, who)
		}
	}
	for _, host := range []string{"evil.example", "evil.example:7250", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1:7250", "[2001:db8::1]:7250"} {
		d.ask(http.MethodGet, http.StatusForbidden, "Host", host)
	}
}

// A browser sends the credentials that it has along with what any page asks for.
func TestPagesOfOthersAreRefused(t *testing.T) {
	for name, auth := range map[string]func(*slog.Logger) *identity.Authenticator{
		"open":  configured(identity.Config{}),
		"basic": configured(identity.Config{Basic: []identity.User{{Name: "alice", File: file(t, "x")}}}),
	} {
		d := newDesk(t, auth)
		login := basic("alice", "x")
		d.ask(http.MethodPost, http.StatusForbidden, append(login, "Origin", "https://evil.example")...)
		d.ask(http.MethodPost, http.StatusForbidden, append(login, "Sec-Fetch-Site", "cross-site")...)
		d.ask(http.MethodPost, http.StatusForbidden, append(login, "Sec-Fetch-Site", "same-site")...)
		d.ask(http.MethodPost, http.StatusForbidden, append(login, "Origin", "null")...)
		d.ask(http.MethodPost, http.StatusOK, append(login, "Sec-Fetch-Site", "same-origin")...)
		if t.Failed() {
			t.Fatalf("%s", name)
		}
	}
}

func TestStandaloneToken(t *testing.T) {
	d := newDesk(t, func(log *slog.Logger) *identity.Authenticator { return identity.NewForToken("alice", "secret", log) })
	if who := d.ask(http.MethodGet, http.StatusOK, bearer("secret")...); who != "alice" {
		t.Errorf("it is %q", who)
	}
	d.ask(http.MethodGet, http.StatusUnauthorized)
	d.ask(http.MethodGet, http.StatusUnauthorized, bearer("")...)
	d.ask(http.MethodGet, http.StatusUnauthorized, bearer("secre")...)
}

// certified is a server that asks for client certificates.
func certified(t *testing.T, c identity.Config, pool *x509.CertPool) func(headers []string, certificates ...tls.Certificate) (int, string) {
	return certifiedAs(t, c, &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool})
}

func certifiedAs(t *testing.T, c identity.Config, config *tls.Config) func(headers []string, certificates ...tls.Certificate) (int, string) {
	server := httptest.NewUnstartedServer(identity.New(c, true, slog.New(slog.DiscardHandler)).Middleware(http.HandlerFunc(whoami)))
	server.TLS = config
	server.StartTLS()
	t.Cleanup(server.Close)
	trusted := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return func(headers []string, certificates ...tls.Certificate) (int, string) {
		t.Helper()
		c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trusted, Certificates: certificates}}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		response, err := c.Do(request)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
}

// Certificates that are listed have roles; others say nothing where anybody is
// listed, and are taken for what they were where nobody is.
func TestListedCertificates(t *testing.T) {
	authority, pool := newAuthority(t)
	roles := []string{"X-Roles", "yes"}
	c := identity.Config{Certificates: []identity.Certificate{{Name: "am", Roles: []identity.Role{"alertmanager"}}}}
	ask := certified(t, c, pool)
	if status, may := ask(roles, authority.issue("am")); status != http.StatusOK || may != "alertmanager" {
		t.Errorf("listed: %d %q", status, may)
	}
	if status, text := ask(nil, authority.issue("other")); status != http.StatusUnauthorized {
		t.Errorf("not listed: %d %s", status, text)
	}
	c.Tokens = []identity.Token{{Name: "ada", File: file(t, "x"), Roles: []identity.Role{"admin"}}}
	ask = certified(t, c, pool)
	if status, who := ask(bearer("x"), authority.issue("am")); status != http.StatusOK || who != "ada" {
		t.Errorf("a token over a listed certificate: %d %q", status, who)
	}
	if status, text := ask(bearer("y"), authority.issue("am")); status != http.StatusUnauthorized {
		t.Errorf("a wrong token over a listed certificate: %d %q", status, text)
	}
	if status, text := ask(bearer("x")); status != http.StatusUnauthorized {
		t.Errorf("a token without a certificate: %d %q", status, text)
	}
	ask = certified(t, identity.Config{}, pool)
	if status, may := ask(roles, authority.issue("anybody")); status != http.StatusOK || may != "viewer operator alertmanager" {
		t.Errorf("nobody is listed: %d %q", status, may)
	}
}

// What somebody is limited to holds however they come.
func TestLimitsHoldForEachKindOfCredential(t *testing.T) {
	authority, pool := newAuthority(t)
	i := newIssuer(t)
	roles, books, targets := []identity.Role{"approver"}, []string{"x"}, []string{"pod/shop/*"}
	ask := certified(t, identity.Config{
		Tokens:       []identity.Token{{Name: "ci", File: file(t, "t"), Roles: roles, Runbooks: books, Targets: targets}},
		Basic:        []identity.User{{Name: "alice", File: file(t, "p"), Roles: roles, Runbooks: books, Targets: targets}},
		Certificates: []identity.Certificate{{Name: "am", Roles: roles, Runbooks: books, Targets: targets}},
		OIDC: &identity.OIDC{Issuer: i.URL, Audience: "runbook", NameClaim: "email", RolesClaim: "groups",
			Groups: []identity.Group{{Name: "sre", Roles: roles, Runbooks: books, Targets: targets}}},
	}, pool)
	for name, credential := range map[string][]string{"token": bearer("t"), "user": basic("alice", "p"), "certificate": nil, "login": bearer(i.token(nil))} {
		for runbook, want := range map[string]string{"x": "true [pod/shop/*]", "y": "false []"} {
			if status, may := ask(append(slices.Clone(credential), "X-Limits", runbook), authority.issue("am")); status != http.StatusOK || may != want {
				t.Errorf("%s for runbook %s: %d %q, want %q", name, runbook, status, may, want)
			}
		}
	}
}

// A certificate that TLS only asked for, and nobody verified, says nothing.
func TestACertificateThatNobodyVerifiedIsNone(t *testing.T) {
	authority, _ := newAuthority(t)
	send := certifiedAs(t, identity.Config{}, &tls.Config{ClientAuth: tls.RequestClientCert})
	if status, text := send(nil, authority.issue("alertmanager.example")); status != http.StatusUnauthorized {
		t.Errorf("%d %s", status, text)
	}
}

func TestClientCertificates(t *testing.T) {
	authority, pool := newAuthority(t)
	send := certified(t, identity.Config{}, pool)
	ask := func(certificates ...tls.Certificate) (int, string) { return send(nil, certificates...) }
	if status, who := ask(authority.issue("alertmanager.example")); status != http.StatusOK || who != "alertmanager.example" {
		t.Errorf("a good certificate: %d %s", status, who)
	}
	if status, text := ask(); status != http.StatusUnauthorized {
		t.Errorf("no certificate: %d %s", status, text)
	}
	stranger, _ := newAuthority(t)
	if status, text := ask(stranger.issue("alertmanager.example")); status == http.StatusOK {
		t.Errorf("a certificate of another authority: %d %s", status, text)
	}
}

type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) (*authority, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{t, cert, key}, pool
}

func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestConfigIsChecked(t *testing.T) {
	good := file(t, "x")
	c := identity.Config{
		Tokens: []identity.Token{{Name: "a", File: good}, {Name: "b", File: "/does/not/exist"}},
		Basic:  []identity.User{{Name: "a", File: good}},
	}
	if err := c.Check(); err == nil || err.Error() != `auth: the name "a" is used twice` {
		t.Errorf("found %v", err)
	}
	if err := c.CheckSecrets(); err == nil || !strings.HasPrefix(err.Error(), "auth: b: read secret: ") {
		t.Errorf("found %v", err)
	}
	c.Tokens, c.Basic = c.Tokens[:1], nil
	if err := errors.Join(c.Check(), c.CheckSecrets()); err != nil {
		t.Error(err)
	}
}
