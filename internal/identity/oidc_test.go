package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/runbook-engine/runbook/internal/identity"
)

// issuer is an OpenID Connect issuer, small but real: it says where its keys are
// and signs tokens with them.
type issuer struct {
	*httptest.Server
	t    *testing.T
	key  *ecdsa.PrivateKey
	down atomic.Bool
}

func newIssuer(t *testing.T) *issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "jwks_uri": i.URL + "/keys", "authorization_endpoint": i.URL, "token_endpoint": i.URL,
			"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

// token is one for ada of the group sre, unless claims say otherwise.
func (i *issuer) token(claims map[string]any) string {
	return i.signed(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "1"}}, claims)
}

func (i *issuer) signed(key jose.SigningKey, claims map[string]any) string {
	i.t.Helper()
	all := map[string]any{
		"iss": i.URL, "aud": "runbook", "sub": "u-1", "exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(),
		"email": "ada@example.com", "email_verified": true, "groups": []string{"sre", "staff"},
	}
	maps.Copy(all, claims)
	text, err := json.Marshal(all)
	if err != nil {
		i.t.Fatal(err)
	}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		i.t.Fatal(err)
	}
	signed, err := signer.Sign(text)
	if err != nil {
		i.t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return compact
}

func (i *issuer) config() identity.Config {
	return identity.Config{OIDC: &identity.OIDC{
		Issuer: i.URL, Audience: "runbook", NameClaim: "email", RolesClaim: "groups",
		Groups: []identity.Group{
			{Name: "staff", Roles: []identity.Role{"viewer"}},
			{Name: "sre", Roles: []identity.Role{"approver", "oncall"}, Runbooks: []string{"x"}},
		},
	}}
}

func (i *issuer) desk(c identity.Config) *desk {
	return newDesk(i.t, func(log *slog.Logger) *identity.Authenticator { return identity.New(c, false, log) })
}

func TestLoginsSayWhoIsAsking(t *testing.T) {
	i := newIssuer(t)
	c := i.config()
	c.Tokens = []identity.Token{{Name: "ci", File: file(t, "a.b.c")}}
	d := i.desk(c)
	if who := d.ask(http.MethodGet, http.StatusOK, bearer(i.token(nil))...); who != "ada@example.com" {
		t.Errorf("it is %q", who)
	}
	roles := func(claims map[string]any) string {
		return d.ask(http.MethodGet, http.StatusOK, append(bearer(i.token(claims)), "X-Roles", "yes")...)
	}
	if got := roles(nil); got != "viewer operator approver alertmanager oncall" {
		t.Errorf("of two groups: %q", got)
	}
	if got := roles(map[string]any{"groups": "staff"}); got != "viewer" {
		t.Errorf("of one group: %q", got)
	}
	if got := roles(map[string]any{"groups": []string{"sales"}}); got != "" {
		t.Errorf("of no group that is listed: %q", got)
	}
	if who := d.ask(http.MethodGet, http.StatusOK, bearer("a.b.c")...); who != "ci" {
		t.Errorf("a token of the config beside an issuer is %q", who)
	}
}

func TestTokensThatAreNotOursAreRefused(t *testing.T) {
	i := newIssuer(t)
	d := i.desk(i.config())
	other := newIssuer(t)
	for name, token := range map[string]string{
		"another audience":    i.token(map[string]any{"aud": "mail"}),
		"another issuer":      i.token(map[string]any{"iss": "https://evil.example"}),
		"expired":             i.token(map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}),
		"no name":             i.token(map[string]any{"email": ""}),
		"an unverified email": i.token(map[string]any{"email_verified": false}),
		"a key of others":     other.token(map[string]any{"iss": i.URL}),
		"a shared secret":     i.signed(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, nil),
		"changed":             i.token(nil)[:40] + "x" + i.token(nil)[41:],
		"no signature":        "eyJhbGciOiJub25lIn0.e30.",
	} {
		if text := d.ask(http.MethodGet, http.StatusUnauthorized, bearer(token)...); !strings.Contains(text, "not valid") {
			t.Errorf("%s: %s", name, text)
		}
		if strings.Contains(d.log.String(), token) {
			t.Errorf("%s: the log shows the token", name)
		}
	}
}

// While the issuer does not answer nobody can tell whether a token is good: that
// is 503. Once its keys are known, it may be down.
func TestAnIssuerThatIsDown(t *testing.T) {
	i := newIssuer(t)
	i.down.Store(true)
	d := i.desk(i.config())
	d.ask(http.MethodGet, http.StatusServiceUnavailable, bearer(i.token(nil))...)
	i.down.Store(false)
	deadline := time.Now().Add(time.Minute)
	for status := 0; status != http.StatusOK; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the issuer is back and its tokens do not count: %d", status)
		}
		status = d.status(bearer(i.token(nil)))
	}
	i.down.Store(true)
	d.ask(http.MethodGet, http.StatusOK, bearer(i.token(nil))...)

	fresh := i.desk(i.config())
	i.down.Store(false)
	fresh.ask(http.MethodGet, http.StatusOK, bearer(i.token(nil))...)
	i.down.Store(true)
	renewed := newIssuer(t)
	unknown := i.signed(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: renewed.key, KeyID: "2"}}, nil)
	fresh.ask(http.MethodGet, http.StatusServiceUnavailable, bearer(unknown)...)
}

func (d *desk) status(headers []string) int {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.url, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	request.Header.Set(headers[0], headers[1])
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
