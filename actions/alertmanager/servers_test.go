package alertmanager

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/lab"
)

// The tests run against the Alertmanager that is installed, which may be as old
// as Debian's 0.25, and against a current one.
var servers = map[string]*lab.Alertmanager{}

// sink is the receiver that both notify.
var sink = &notifications{}

func TestMain(m *testing.M) {
	code, err := withServers(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withServers(run func() int) (code int, err error) {
	dir, err := os.MkdirTemp("", "runbook-alertmanager-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	receiver := httptest.NewServer(sink)
	defer receiver.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	current, err := lab.CurrentAlertmanager(ctx)
	if err != nil {
		return 1, err
	}
	for name, program := range map[string]string{"installed": "", "current": current} {
		server, err := lab.StartAlertmanager(ctx, dir+"/"+name, lab.AlertmanagerOptions{
			Program: program, Webhook: lab.Webhook{URL: receiver.URL}, GroupBy: []string{"..."},
		})
		if err != nil {
			return 1, err
		}
		defer server.Kill()
		servers[name] = server
	}
	return run(), nil
}

func onEach(t *testing.T, test func(t *testing.T, server *lab.Alertmanager)) {
	for name, server := range servers {
		t.Run(name, func(t *testing.T) { test(t, server) })
	}
}

// notifications counts what Alertmanager sends, by alert name and status.
type notifications struct {
	mu     sync.Mutex
	counts map[string]int
}

func (n *notifications) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var message struct {
		Alerts []struct {
			Status string
			Labels map[string]string
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counts == nil {
		n.counts = map[string]int{}
	}
	for _, a := range message.Alerts {
		n.counts[a.Labels["alertname"]+" "+a.Status]++
	}
}

func (n *notifications) of(alertname, status string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counts[alertname+" "+status]
}

// opened are the actions over one Alertmanager, with a clock.
func opened(t *testing.T, address string, now func() time.Time) map[string]actions.Action {
	t.Helper()
	nodes, problems := document.Parse("config.yaml", []byte("oncall: {alertmanager: {url: '"+address+"'}}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{connection().Erase()}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	byName := map[string]actions.Action{}
	for _, a := range newSystem(conns, now).Actions {
		byName[a.Name] = a
	}
	return byName
}

func bind(t *testing.T, a actions.Action, params string) actions.Bound {
	t.Helper()
	b, problems := a.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs an action on its one target and decodes the result.
func run[R any](t *testing.T, b actions.Bound, key string) R {
	t.Helper()
	var result R
	raw, err := b.Run(t.Context(), actions.Key(key), actions.Target{})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func undo(t *testing.T, b actions.Bound, key string) {
	t.Helper()
	if err := b.Undo(t.Context(), actions.Key(key), actions.Target{}); err != nil {
		t.Fatal(err)
	}
}

// unique is a name or key that no other test uses, nor this one before.
func unique(prefix string) string { return prefix + rand.Text() }

// get asks the API without our client.
func get(t *testing.T, address, path string, into any) {
	t.Helper()
	response, err := http.Get(address + "/api/v2/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v\n%s", path, response.Status, err, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
}

func post(t *testing.T, address, path, body string) {
	t.Helper()
	response, err := http.Post(address+"/api/v2/"+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("POST %s: %s %s", path, response.Status, text)
	}
}

type rawAlert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	Fingerprint         string
	GeneratorURL        string
}

func firingNow(t *testing.T, address, alertname string) []rawAlert {
	t.Helper()
	var alerts []rawAlert
	get(t, address, "alerts?filter="+url.QueryEscape(fmt.Sprintf("alertname=%q", alertname)), &alerts)
	return alerts
}

type rawSilence struct {
	ID, Comment, CreatedBy string
	StartsAt, EndsAt       time.Time
	Status                 struct{ State string }
	Matchers               []struct {
		Name, Value      string
		IsRegex, IsEqual bool
	}
}

// silencesOn are the silences that have a matcher alertname="…", by state.
func silencesOn(t *testing.T, address, alertname string) map[string][]rawSilence {
	t.Helper()
	var all []rawSilence
	get(t, address, "silences?filter="+url.QueryEscape(fmt.Sprintf("alertname=%q", alertname)), &all)
	byState := map[string][]rawSilence{}
	for _, s := range all {
		byState[s.Status.State] = append(byState[s.Status.State], s)
	}
	return byState
}

// eventually waits for what another process does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20s for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
