package patroni_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/patroni"
	lab "github.com/runbook-engine/runbook/internal/lab/patroni"
)

const password = "canary-91ac44"

func config(t *testing.T, secret string) func(address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(address string) string {
		return "orders: {patroni: {urls: ['http://" + address + "'], username: engine, password_file: " + file + "}}"
	}
}

// leader is who leads and who streams, by another client than ours.
func state(t *testing.T, address string) (leader, text string) {
	t.Helper()
	answer, err := http.Get("http://" + address + "/cluster")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var found struct {
		Members []struct{ Name, Role, State string }
	}
	if err := json.Unmarshal(raw, &found); err != nil {
		t.Fatal(err)
	}
	for _, m := range found.Members {
		if m.Role == "leader" {
			leader = m.Name
		}
		text += m.Name + " " + m.Role + " " + m.State + "\n"
	}
	return leader, text
}

// settled waits until a member leads and the other follows it.
func settled(t *testing.T, address string) string {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		leader, text := state(t, address)
		if leader != "" && strings.Count(text, "running")+strings.Count(text, "streaming") == 2 && strings.Contains(text, "replica") {
			return leader
		}
		if time.Now().After(deadline) {
			t.Fatalf("the cluster does not settle:\n%s", text)
		}
	}
}

func bind(t *testing.T, connections, action, params string) actions.Bound {
	t.Helper()
	return conformance.Bind(t, conformance.Open(t, patroni.System, connections), action, params)
}

func run(t *testing.T, connections, action, params string) (string, error) {
	t.Helper()
	b := bind(t, connections, action, params)
	raw, err := b.Run(t.Context(), "key", *b.OnlyTarget())
	return string(raw), err
}

func fails(t *testing.T, err error, says string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "canary") {
		t.Errorf("fails as %s with %v", actions.ClassOf(err), err)
	}
}

// All on one cluster, because it takes a while to make.
func TestPatroni(t *testing.T) {
	c, err := lab.Start(t.Context(), t.TempDir(), 2, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	address, connections := c.Members[0], config(t, password)
	settled(t, address)
	back := func(t *testing.T) {
		if settled(t, address) != "m0" {
			if _, err := run(t, connections(address), "patroni.switchover", "{candidate: m0}"); err != nil {
				t.Fatal(err)
			}
			settled(t, address)
		}
	}
	leads := func(t *testing.T) string { return settled(t, address) }
	conformance.Run(t, conformance.Case{
		System: patroni.System, Action: "patroni.cluster", Connections: connections, Address: address,
		Secrets: []string{password}, Params: "{}", State: leads, Measured: []string{"members"},
	})
	conformance.Run(t, conformance.Case{
		System: patroni.System, Action: "patroni.switchover", Connections: connections, Address: address,
		Secrets: []string{password}, Params: "{candidate: m1}", State: leads, Arrange: back,
	})
	conformance.Run(t, conformance.Case{
		System: patroni.System, Action: "patroni.failover", Connections: connections, Address: address,
		Secrets: []string{password}, Params: "{candidate: m1}", State: leads, Arrange: back,
	})
	back(t)
	_, err = run(t, connections(address), "patroni.switchover", "{candidate: nobody}")
	fails(t, err, `patroni "orders"`)
	_, err = run(t, config(t, "canary-wrong")(address), "patroni.switchover", "{candidate: m1}")
	fails(t, err, "username and password_file")
	if leader := settled(t, address); leader != "m0" {
		t.Errorf("%s leads", leader)
	}
	// The first that answers is asked.
	several := strings.Replace(connections(address), "urls: [", "urls: ['http://127.0.0.1:1', ", 1)
	if text, err := run(t, several, "patroni.cluster", "{}"); err != nil || !strings.Contains(text, `"leader":"m0"`) {
		t.Errorf("with a member that is gone it gives %s, %v", text, err)
	}
	// One whose answer is lost may be at it: nobody else is asked.
	front := &droppingPosts{behind: address}
	s := httptest.NewServer(front)
	t.Cleanup(s.Close)
	_, err = run(t, strings.Replace(connections(address), "urls: [", "urls: ['"+s.URL+"', ", 1), "patroni.switchover", "{candidate: m1, within: 5s}")
	if err == nil || actions.ClassOf(err) != actions.ClassAmbiguous || front.dropped.Load() != 1 || settled(t, address) != "m0" {
		t.Errorf("with an answer that is lost it fails as %s with %v", actions.ClassOf(err), err)
	}
	// Who does not answer when it is looked at is not asked to change anything.
	front.dropped.Store(0)
	front.all.Store(true)
	_, err = run(t, strings.Replace(connections(address), "urls: [", "urls: ['"+s.URL+"', ", 1), "patroni.switchover", "{candidate: nobody}")
	if fails(t, err, `patroni "orders"`); front.dropped.Load() != 0 {
		t.Errorf("it was asked %d times to change who leads", front.dropped.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := bind(t, several, "patroni.cluster", "{}").Run(ctx, "key", actions.Target{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
}

// droppingPosts passes on what reads, and loses the answers to what changes.
type droppingPosts struct {
	behind  string      // a member
	all     atomic.Bool // also what reads is lost
	dropped atomic.Int32
}

func (d *droppingPosts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		d.dropped.Add(1)
	}
	if d.all.Load() || r.Method == http.MethodPost {
		panic(http.ErrAbortHandler)
	}
	httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: d.behind}).ServeHTTP(w, r)
}
