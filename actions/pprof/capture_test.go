package pprof_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	httppprof "net/http/pprof"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/pprof"
	"github.com/runbook-engine/runbook/internal/artefact"
	"github.com/runbook-engine/runbook/internal/document"
)

const token = "canary-token-4711"

// goService is a service with net/http/pprof, which is this test's own process.
func goService(t testing.TB) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", httppprof.Index)
	mux.HandleFunc("/debug/pprof/profile", httppprof.Profile)
	mux.HandleFunc("/away/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	})
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
	s := httptest.NewServer(guarded)
	t.Cleanup(s.Close)
	return s
}

func tokenFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func store(t testing.TB) actions.Artefacts {
	t.Helper()
	d, err := artefact.OpenDirectory(t.TempDir(), artefact.Limits{MaxSize: 1 << 30, MaxTotal: 1 << 30, MaxAge: time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// keeping is the system over connections that keep artefacts.
func keeping(s actions.Artefacts) func(*actions.Connections) actions.System {
	return func(conns *actions.Connections) actions.System {
		if conns != nil {
			conns.KeepArtefacts(s)
		}
		return pprof.System(conns)
	}
}

func TestCaptureConforms(t *testing.T) {
	s, file := goService(t), tokenFile(t, token)
	conformance.Run(t, conformance.Case{
		System: keeping(store(t)), Action: "pprof.capture",
		Params: "{service: orders, profile: goroutine}", Slow: "{service: orders, profile: cpu, for: 60s}",
		Connections: func(address string) string {
			return "orders: {pprof: {url: 'http://" + address + "/debug/pprof', bearer_token_file: " + file + "}}"
		},
		Address: strings.TrimPrefix(s.URL, "http://"), Secrets: []string{token},
	})
}

func run(t testing.TB, kept actions.Artefacts, config, params string) (map[string]any, error) {
	t.Helper()
	nodes, problems := document.Parse("connections.yaml", []byte("orders: {pprof: {"+config+"}}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{pprof.System(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	system := pprof.System(conns)
	if kept != nil {
		system = keeping(kept)(conns)
	}
	b, problems := system.Actions[0].Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	text, err := b.Run(t.Context(), "run/capture/service/orders", *b.OnlyTarget())
	if err != nil {
		return nil, err
	}
	result := map[string]any{}
	return result, json.Unmarshal(text, &result)
}

func leak(stop chan struct{}) { <-stop }

func TestCaptureFindsALeak(t *testing.T) {
	s, kept := goService(t), store(t)
	stop := make(chan struct{})
	defer close(stop)
	for range 500 {
		go leak(stop)
	}
	config := "url: '" + s.URL + "/debug/pprof/', bearer_token_file: " + tokenFile(t, token)
	got, err := run(t, kept, config, "{service: orders, profile: goroutine}")
	if err != nil {
		t.Fatal(err)
	}
	first := got["top"].([]any)[0].(map[string]any)
	if n := got["goroutines"].(float64); n < 500 || !strings.HasSuffix(first["name"].(string), "pprof_test.leak") || first["value"] != 500.0 || got["unit"] != "count" {
		t.Errorf("it gives %v", got)
	}
	file := strings.TrimPrefix(got["artefact"].(map[string]any)["url"].(string), "file://")
	if text, err := os.ReadFile(file); err != nil || len(text) == 0 {
		t.Errorf("the artefact is %d bytes, %v", len(text), err)
	}
}

func TestCaptureKnowsTheKinds(t *testing.T) {
	s := goService(t)
	config := "url: '" + s.URL + "/debug/pprof', bearer_token_file: " + tokenFile(t, token)
	for profile, unit := range map[string]string{"heap": "bytes", "cpu, for: 1s": "nanoseconds", "mutex": "nanoseconds"} {
		got, err := run(t, store(t), config, "{service: orders, profile: "+profile+"}")
		if err != nil || got["unit"] != unit || got["goroutines"] != nil {
			t.Errorf("%s: it gives %v, %v", profile, got, err)
		}
	}
}

func TestWhatIsNoProfileIsNotKept(t *testing.T) {
	s := goService(t)
	file := tokenFile(t, token)
	for config, says := range map[string]string{
		"url: '" + s.URL + "/nowhere', bearer_token_file: " + file:                         "404",
		"url: '" + s.URL + "/away', bearer_token_file: " + file:                            "302",
		"url: '" + s.URL + "/debug/pprof', bearer_token_file: " + tokenFile(t, "canary-x"): "403",
		"url: '" + s.URL + "/debug/pprof', bearer_token_file: /nowhere/token":              "/nowhere/token",
		"url: 'http://u:canary-p@127.0.0.1/debug/pprof'":                                   "without user",
	} {
		_, err := run(t, store(t), config, "{service: orders, profile: heap}")
		if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(fmt.Sprint(err), says) || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s gives %v", config, err)
		}
	}
	kept := store(t)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>not a profile</html>") }))
	defer page.Close()
	_, err := run(t, kept, "url: '"+page.URL+"'", "{service: orders, profile: heap}")
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(fmt.Sprint(err), "no profile") {
		t.Errorf("a page gives %v", err)
	}
	if _, there, err := kept.Find(t.Context(), "run/capture/service/orders/heap.pb.gz"); there || err != nil {
		t.Errorf("it is kept: %v, %v", there, err)
	}
}

func TestCaptureNeedsAStore(t *testing.T) {
	s := goService(t)
	_, err := run(t, nil, "url: '"+s.URL+"/debug/pprof', bearer_token_file: "+tokenFile(t, token), "{service: orders, profile: heap}")
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(fmt.Sprint(err), "no store of artefacts") {
		t.Errorf("it gives %v", err)
	}
}
