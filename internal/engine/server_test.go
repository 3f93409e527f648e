package engine

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab/certificate"
)

func TestWithoutAuthenticationTheEngineIsForThisMachine(t *testing.T) {
	e := serve(t, t.TempDir(), "")
	for _, path := range []string{WebhookPath, "/-/reload", "/api/v1/runs"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL()+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "evil.example"
		if status, text := send(t, http.DefaultClient, request); status != http.StatusForbidden {
			t.Errorf("%s for another host answered %d %s", path, status, text)
		}
		request.Host = ""
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		if status, text := send(t, http.DefaultClient, request); status != http.StatusForbidden {
			t.Errorf("%s for a page of the web answered %d %s", path, status, text)
		}
	}
	if status, _ := get(t, e.URL()+"/debug/pprof/"); status != http.StatusNotFound {
		t.Errorf("profiles are served: %d", status)
	}
	if status, _ := get(t, e.URL()+WebhookPath); status != http.StatusMethodNotAllowed {
		t.Errorf("GET of the webhook: %d", status)
	}
}

func TestConfigThatIsMadeByHandIsCheckedToo(t *testing.T) {
	c := DefaultConfig()
	c.Listen, c.DataDir = "0.0.0.0:0", Path(t.TempDir())
	if e, err := New(t.Context(), c, Options{}); err == nil {
		e.Close()
		t.Error("it listens to everybody")
	} else if !strings.Contains(err.Error(), "configure auth.tokens") {
		t.Error(err)
	}
}

func TestEverythingButHealthNeedsCredentials(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "token", "t0ken\n")
	e := serve(t, dir, "auth: {tokens: [{name: alertmanager, token_file: token}]}\n")
	for _, path := range []string{"/metrics", "/api/v1/runs", "/api/v1/openapi.json", "/nowhere", "/"} {
		if status, _ := get(t, e.URL()+path); status != http.StatusUnauthorized {
			t.Errorf("%s without credentials: %d", path, status)
		}
	}
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		if status, _ := get(t, e.URL()+path); status != http.StatusOK {
			t.Errorf("%s without credentials: %d", path, status)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL()+WebhookPath, strings.NewReader(firing("A", time.Now())))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer t0ken")
	if status, text := send(t, http.DefaultClient, request); status != http.StatusOK {
		t.Errorf("the webhook with its token: %d %s", status, text)
	}
}

func TestAStandaloneEngineIsForItsOwner(t *testing.T) {
	c := DefaultConfig()
	c.DataDir = Path(t.TempDir())
	e, err := New(t.Context(), c, Options{Standalone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if status, _ := get(t, e.URL()+"/api/v1/runs"); status != http.StatusUnauthorized {
		t.Errorf("without the token: %d", status)
	}
	for path, want := range map[string]int{"/api/v1/runs": http.StatusOK, WebhookPath: http.StatusNotFound} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+e.Token())
		if status, text := send(t, http.DefaultClient, request); status != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

func issue(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	pair, err := certificate.Issue(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func trusting(t *testing.T, server tls.Certificate, own ...tls.Certificate) *http.Client {
	t.Helper()
	leaf, err := x509.ParseCertificate(server.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestTLSWithClientCertificates(t *testing.T) {
	dir := t.TempDir()
	own, client := issue(t, dir, "engine"), issue(t, dir, "alertmanager.example")
	e := serve(t, dir, "tls: {cert_file: engine.crt, key_file: engine.key, client_ca_file: alertmanager.example.crt}\n")
	ask := func(c *http.Client, path string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return send(t, c, request)
	}
	if status, text := ask(trusting(t, own, client), "/api/v1/runs"); status != http.StatusOK {
		t.Errorf("with a certificate: %d %s", status, text)
	}
	if status, text := ask(trusting(t, own), "/api/v1/runs"); status != http.StatusUnauthorized {
		t.Errorf("without a certificate: %d %s", status, text)
	}
	if status, text := ask(trusting(t, own), "/-/ready"); status != http.StatusOK {
		t.Errorf("readiness without a certificate: %d %s", status, text)
	}

	// A certificate is renewed in two steps; in between the old one serves.
	write(t, dir, "engine.crt", "half written")
	if status, text := ask(trusting(t, own), "/-/ready"); status != http.StatusOK {
		t.Errorf("while it is renewed: %d %s", status, text)
	}
	renewed := issue(t, dir, "engine")
	if status, text := ask(trusting(t, renewed), "/-/ready"); status != http.StatusOK {
		t.Errorf("renewed: %d %s", status, text)
	}
	if _, err := trusting(t, own).Get(e.URL() + "/-/ready"); err == nil {
		t.Error("the old certificate serves on")
	}
}

func TestNotReadyWhileTemporalDoesNotAnswer(t *testing.T) {
	e := serve(t, t.TempDir(), "")
	e.stopTemporal()
	eventually(t, "the engine not to be ready", func() error {
		if status, text := get(t, e.URL()+"/-/ready"); status != http.StatusServiceUnavailable || !strings.Contains(text, "temporal does not answer") {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	metric(t, e, "runbook_temporal_up 0")
	metric(t, e, "runbook_temporal_lost_total 1")
	if status, _ := do(t, http.MethodPost, e.URL()+WebhookPath, firing("A", time.Now())); status != http.StatusServiceUnavailable {
		t.Errorf("the webhook answered %d", status)
	}
	if status, _ := get(t, e.URL()+"/-/healthy"); status != http.StatusOK {
		t.Errorf("the engine itself is healthy, and says %d", status)
	}
}
