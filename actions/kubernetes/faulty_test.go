package kubernetes

// A proxy in front of the real API server, for what the real one does not do
// when a test wants it: lose an answer, be overloaded, fail inside, be changed
// by somebody else at a certain moment. It hands everything on but what a test
// answers itself, and it counts.

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/runbook-engine/runbook/actions"
)

type faultyServer struct {
	*httptest.Server
	through http.Handler

	mu       sync.Mutex
	requests []string // "PATCH /apis/…"
	// before sees each request first, and may answer it.
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
}

func newFaulty(t *testing.T) *faultyServer {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(filepath.Join(real.Dir(), "apiserver.crt"), filepath.Join(real.Dir(), "apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: real.Address()})
	through.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	through.ErrorLog = log.New(io.Discard, "", 0)
	s := &faultyServer{through: through}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *faultyServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	before := s.before
	s.mu.Unlock()
	if before == nil || !before(w, r) {
		s.through.ServeHTTP(w, r)
	}
}

func (s *faultyServer) address() string { return s.Listener.Addr().String() }

func (s *faultyServer) action(t *testing.T, name string) actions.Action {
	t.Helper()
	return actionOver(t, "{kubeconfig: '"+real.KubeconfigAt(t, s.address())+"'}", name, time.Now)
}

func (s *faultyServer) count(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

// on answers requests of one method.
func on(method string, answer func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			answer(w)
		}
		return r.Method == method
	}
}

func fail(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.Kind, status.APIVersion = "Status", "v1"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // nobody may be there any more
}
