package e2e

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/internal/lab"
)

// certificate writes one for 127.0.0.1 beside the config of a host.
func certificate(t *testing.T, h *host) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	pair := s.TLS.Certificates[0]
	h.write("tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	h.write("tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(pair.PrivateKey.(*rsa.PrivateKey))})))
}

// Alertmanager logs in over TLS, with a token or with a password, and one that
// does not know them is not heard.
func TestAlertmanagerLogsIn(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a)+`
tls: {cert_file: tls.crt, key_file: tls.key}
auth:
  tokens: [{name: by-token, token_file: token}]
  basic: [{name: by-password, password_file: password}]
`, silencer)
	certificate(t, h)
	h.write("token", "t0ken")
	h.write("password", "passw0rd")
	c, _, problems := engine.LoadConfig(filepath.Join(h.dir, "runbook.yaml"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(t.Context(), c, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	for serial, login := range map[int]lab.Webhook{
		1: {BearerToken: "t0ken"}, 2: {Username: "by-password", Password: "passw0rd"}, 3: {BearerToken: "guess"}, 4: {},
	} {
		login.URL, login.CAFile = e.URL()+engine.WebhookPath, filepath.Join(h.dir, "tls.crt")
		raise(t, startAlertmanager(t, lab.AlertmanagerOptions{Webhook: login}), time.Now(), mark(serial))
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	eventually(t, time.Minute, "two alerts to be heard", func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+"/metrics", nil)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer t0ken")
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if n := sample(string(text), `runbook_runs_concluded_total{outcome="fixed",runbook="silencer"}`); n != 2 {
			return fmt.Errorf("%v runs have ended", n)
		}
		return nil
	})
	found := silences(t, a)
	for about := range found {
		if !strings.HasPrefix(about, "mark 1") && !strings.HasPrefix(about, "mark 2") {
			t.Errorf("silences: %v", found)
		}
	}
}
