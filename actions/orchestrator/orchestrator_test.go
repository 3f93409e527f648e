package orchestrator_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/orchestrator"
)

func (s *standIn) address() string { return strings.TrimPrefix(s.URL, "http://") }

func config(t *testing.T, secret string) func(address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(address string) string {
		return "main: {orchestrator: {urls: ['http://" + address + "'], username: " + user + ", password_file: " + file + "}}"
	}
}

func run(t *testing.T, connections, action, params string) (string, error) {
	t.Helper()
	b := conformance.Bind(t, conformance.Open(t, orchestrator.System, connections), action, params)
	raw, err := b.Run(t.Context(), "key", *b.OnlyTarget())
	return string(raw), err
}

func fails(t *testing.T, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != class || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
		t.Errorf("fails as %s with %v; wanted %s with %q", actions.ClassOf(err), err, class, says)
	}
}

const (
	gracefully = "{cluster: orders, from: 'db-1:3306', to: 'db-2:3306', within: 2s}"
	recovering = "{cluster: orders, from: 'db-1:3306', how: recover, fenced: true, within: 2s}"
	forcing    = "{cluster: orders, from: 'db-1:3306', how: force, fenced: true, within: 2s}"
)

func TestTheActionsConform(t *testing.T) {
	s, connections := newStandIn(t), config(t, password)
	state := func(*testing.T) string { return s.state() }
	conformance.Run(t, conformance.Case{
		System: orchestrator.System, Action: "orchestrator.cluster", Connections: connections, Address: s.address(),
		Secrets: []string{password}, Params: "{cluster: orders}", State: state,
	})
	conformance.Run(t, conformance.Case{
		System: orchestrator.System, Action: "orchestrator.takeover", Connections: connections, Address: s.address(),
		Secrets: []string{password}, Params: gracefully, State: state, Arrange: func(*testing.T) { s.reset() },
	})
	for _, params := range []string{recovering, forcing} {
		conformance.Run(t, conformance.Case{
			System: orchestrator.System, Action: "orchestrator.takeover", Connections: connections, Address: s.address(),
			Secrets: []string{password}, Params: params, State: state, Arrange: func(*testing.T) { s.reset(); s.kill("db-1:3306") },
		})
	}
}

func TestAClusterIsSeenAsItIs(t *testing.T) {
	s := newStandIn(t)
	connections := config(t, password)(s.address())
	const replicas = `{"address":"db-2:3306","source":"db-1:3306","seen":true,"lag":0},{"address":"db-3:3306","source":"db-1:3306","seen":true,"lag":0}`
	for _, look := range []struct {
		dead         bool
		seen, wanted string
	}{
		{false, "true", `"problems":[]`},
		{true, "false", `"problems":[{"server":"db-1:3306","analysis":"DeadMaster","meaning":"Master cannot be reached`},
	} {
		if look.dead {
			s.kill("db-1:3306")
		}
		text, err := run(t, connections, "orchestrator.cluster", "{cluster: orders}")
		whole := `{"master":"db-1:3306","seen":` + look.seen + `,"read_only":false,"servers":[{"address":"db-1:3306","source":"","seen":` + look.seen + `,"lag":null},` + replicas + `],`
		if err != nil || !strings.HasPrefix(text, whole) || !strings.Contains(text, look.wanted) {
			t.Errorf("%s, %v", text, err)
		}
	}
	_, err := run(t, connections, "orchestrator.cluster", "{cluster: unknown}")
	fails(t, err, actions.ClassTransient, `look at the cluster unknown by orchestrator "main": it answers 500 Internal Server Error: No masters found for unknown`)
	// The first that answers is asked.
	several := strings.Replace(connections, "urls: [", "urls: ['http://127.0.0.1:1', ", 1)
	if text, err := run(t, several, "orchestrator.cluster", "{cluster: orders}"); err != nil || !strings.Contains(text, `"master":"db-1:3306"`) {
		t.Errorf("with a node that is gone it gives %s, %v", text, err)
	}
}

// How it is asked for is what the documentation of Orchestrator has for each.
func TestATakeoverIsAskedForOnceAndTheRightWay(t *testing.T) {
	for params, call := range map[string]string{
		gracefully: "graceful-master-takeover-auto/db-1/3306/db-2/3306",
		recovering: "recover/db-1/3306",
		"{cluster: orders, from: 'db-1:3306', to: 'db-3:3306', how: recover, fenced: true}": "recover/db-1/3306/db-3/3306",
		forcing: "force-master-failover/db-1/3306",
		"{cluster: orders, from: 'db-1:3306', to: 'db-3:3306', how: force, fenced: true}": "force-master-takeover/db-1/3306/db-3/3306",
	} {
		s := newStandIn(t)
		if !strings.HasPrefix(call, "graceful") {
			s.kill("db-1:3306")
		}
		want := `{"master":"db-2:3306"}`
		if strings.Contains(params, "db-3") {
			want = `{"master":"db-3:3306"}`
		}
		for range 2 {
			text, err := run(t, config(t, password)(s.address()), "orchestrator.takeover", params)
			if state := s.state(); err != nil || text != want || !strings.HasSuffix(state, "; ["+call+"]") {
				t.Errorf("%s gives %s, %v and %s", params, text, err, state)
			}
		}
	}
}

func TestATakeoverThatMayNotBeChangesNothing(t *testing.T) {
	s := newStandIn(t)
	connections, before := config(t, password)(s.address()), s.state()
	for params, says := range map[string]string{
		"{cluster: orders, from: 'db-1:3306'}":                  "a graceful takeover needs the parameter to",
		"{cluster: orders, from: 'db-1:3306', to: 'db-1:3306'}": "to and from are the same server",
		"{cluster: orders, from: 'db-1:3306', how: recover}":    "fenced is false",
		"{cluster: orders, from: 'db-1:3306', how: force}":      "fenced is false",
		forcing: "orchestrator sees the master: it is not dead",
		"{cluster: orders, from: 'db-9:3306', to: 'db-2:3306', within: 2s}":   "db-1:3306 is the master, and not db-2:3306",
		"{cluster: orders, from: 'db-2:3306', to: 'db-3:3306', how: recover}": "db-1:3306 is the master, and not db-3:3306",
	} {
		_, err := run(t, connections, "orchestrator.takeover", params)
		fails(t, err, actions.ClassPermanent, says)
	}
	_, err := run(t, config(t, "canary-wrong")(s.address()), "orchestrator.takeover", gracefully)
	fails(t, err, actions.ClassPermanent, "username and password_file")
	s.change(func() { s.readOnly = true })
	_, err = run(t, connections, "orchestrator.takeover", gracefully)
	fails(t, err, actions.ClassPermanent, "its ReadOnly false")
	s.change(func() { s.readOnly = false })
	if now := s.state(); now != before {
		t.Errorf("it was %s and is %s", before, now)
	}
	// Orchestrator's own refusal is told, and may be another in a moment.
	_, err = run(t, connections, "orchestrator.takeover", recovering)
	fails(t, err, actions.ClassTransient, `have db-1:3306 of the cluster orders replaced by orchestrator "main": it answers 500 Internal Server Error: Recovery not attempted`)
}

// Until the new master takes writes nobody is told that it does.
func TestANewMasterThatIsReadOnlyIsNoSuccess(t *testing.T) {
	s := newStandIn(t)
	s.kill("db-1:3306")
	s.change(func() { s.hooks = true })
	connections := config(t, password)(s.address())
	_, err := run(t, connections, "orchestrator.takeover", strings.Replace(recovering, "2s", "1s", 1))
	fails(t, err, actions.ClassTransient, "db-2:3306 is the master (seen: true, read only: true)")
	s.change(func() { s.servers["db-2:3306"].readOnly = false })
	text, err := run(t, connections, "orchestrator.takeover", recovering)
	if state := s.state(); err != nil || text != `{"master":"db-2:3306"}` || strings.Count(state, "recover/") != 1 {
		t.Errorf("gives %s, %v and %s", text, err, state)
	}
}

// The node that was asked may be at it, so no other is asked, and the retry
// finds what was done.
func TestALostAnswerIsAmbiguous(t *testing.T) {
	s := newStandIn(t)
	var asked atomic.Int32
	s.change(func() {
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "takeover") {
				asked.Add(1)
				panic(http.ErrAbortHandler)
			}
			return false
		}
	})
	connections := strings.Replace(config(t, password)(s.address()), "urls: [", "urls: ['"+s.URL+"', ", 1)
	_, err := run(t, connections, "orchestrator.takeover", gracefully)
	fails(t, err, actions.ClassAmbiguous, "EOF")
	if asked.Load() != 1 {
		t.Errorf("it was asked for %d times", asked.Load())
	}
	s.change(func() { s.before = nil })
	if text, err := run(t, connections, "orchestrator.takeover", gracefully); err != nil || text != `{"master":"db-2:3306"}` {
		t.Errorf("then it gives %s, %v", text, err)
	}
}
