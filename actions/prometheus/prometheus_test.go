package prometheus_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/prometheus"
	"github.com/runbook-engine/runbook/internal/lab"
)

// token is a secret that must show nowhere.
const token = "canary-7f3a9c"

// guarded is a real Prometheus behind a proxy that wants the token.
func guarded(t *testing.T) (address string) {
	t.Helper()
	real, err := lab.StartPrometheus(t.Context(), t.TempDir(), lab.PrometheusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := real.Stop(); err != nil {
			t.Error(err)
		}
	})
	behind, err := url.Parse(real.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	})
}

func serve(t *testing.T, handler http.HandlerFunc) (address string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func withToken(tokenFile string) func(address string) string {
	return func(address string) string {
		return fmt.Sprintf("main: {prometheus: {url: 'http://%s', bearer_token_file: %s}}", address, tokenFile)
	}
}

// bind is prometheus.query over the connections of a config.
func bind(t *testing.T, connections, params string) actions.Bound {
	t.Helper()
	return conformance.Bind(t, conformance.Open(t, prometheus.System, connections), "prometheus.query", params)
}

func run(t *testing.T, connections, params string) (string, error) {
	t.Helper()
	result, err := bind(t, connections, params).Run(t.Context(), "key", actions.Target{})
	return string(result), err
}

// fails wants an error of a class that says something.
func fails(t *testing.T, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || actions.ClassOf(err) != class {
		t.Errorf("failed as %s with %v, want %s, …%s…", actions.ClassOf(err), err, class, says)
	}
}
