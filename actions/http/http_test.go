package http_test

import (
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	httpaction "github.com/runbook-engine/runbook/actions/http"
	"github.com/runbook-engine/runbook/internal/document"
)

// token is a secret that must show nowhere.
const token = "canary-51bd02"

// shop is a real HTTP server: PUT and DELETE change an item, POST adds an event,
// and who has no token gets nothing.
type shop struct {
	*httptest.Server
	mu     sync.Mutex
	items  map[string]string
	events []string
	seen   []*http.Request
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{items: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, r)
	s.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+token:
		http.Error(w, "who are you?", http.StatusUnauthorized)
	case r.URL.Path == "/api/slow":
		<-r.Context().Done()
	default:
		s.change(r, string(body))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"path": %q, "items": [1, 2]}`, r.URL.Path)
	}
}

func (s *shop) change(r *http.Request, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodPut:
		s.items[r.URL.Path] = body
	case http.MethodDelete:
		delete(s.items, r.URL.Path)
	case http.MethodPost, http.MethodPatch:
		s.events = append(s.events, body)
	}
}

func (s *shop) state(*testing.T) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s.items)) {
		fmt.Fprintln(&all, path, s.items[path])
	}
	return all.String() + strings.Join(s.events, "\n")
}

func (s *shop) empty(*testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items, s.events = map[string]string{}, nil
}

func (s *shop) address() string { return s.Listener.Addr().String() }

func withToken(tokenFile string) func(address string) string {
	return func(address string) string {
		return fmt.Sprintf("shop: {http: {url: 'http://%s/api', bearer_token_file: %s}}", address, tokenFile)
	}
}

func secretFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// open are the actions over the connections of a config.
func open(t *testing.T, connections string) *actions.Catalog {
	t.Helper()
	nodes, problems := document.Parse("connections.yaml", []byte(connections))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	kinds := []*actions.ConnectionKind{httpaction.System(nil).Connection}
	all, problems := actions.NewConnections(kinds, append(nodes, nil)[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all.Close)
	return actions.NewCatalog(httpaction.System(all))
}

func bind(t *testing.T, catalog *actions.Catalog, action, params string) actions.Bound {
	t.Helper()
	a, _ := catalog.Get(action)
	b, problems := a.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

func run(t *testing.T, action, connections, params string) (string, error) {
	t.Helper()
	result, err := bind(t, open(t, connections), action, params).Run(t.Context(), "run/1/step", actions.Target{})
	return string(result), err
}

// quiet is for a server that would log what a test does to it.
var quiet = log.New(io.Discard, "", 0)

// fails wants an error of a class that says something.
func fails(t *testing.T, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || actions.ClassOf(err) != class {
		t.Errorf("failed as %s with %v, want %s, …%s…", actions.ClassOf(err), err, class, says)
	}
}
