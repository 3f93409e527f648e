package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/certificate"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// The program under test is this one: a copy of it, in the path under the name
// runbook, runs main. A child that the program starts has no name.
func TestMain(m *testing.M) {
	if code, child := backstop.Main(os.Args[1:], std.Modes()...); child {
		os.Exit(code)
	}
	testscript.Main(withLab{m}, map[string]func(){"runbook": main})
}

type withLab struct{ m *testing.M }

func (w withLab) Run() int {
	code := w.m.Run()
	if err := database.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// postgres is a server that the first test to need it starts.
type postgres struct {
	once   sync.Once
	dir    string
	server *lab.Postgres
	err    error
}

var database postgres

func (p *postgres) start(t testing.TB) *lab.Postgres {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "runbook-cli-"); p.err != nil {
			return
		}
		if p.err = os.Chmod(p.dir, 0o711); p.err == nil {
			p.server, p.err = lab.StartPostgres(t.Context(), p.dir, lab.PostgresOptions{})
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.server
}

func (p *postgres) close() error {
	if p.server == nil {
		return nil
	}
	return errors.Join(p.server.Close(), os.RemoveAll(p.dir))
}

// idle opens sessions of an application that sit in a transaction.
func idle(t testing.TB, application string, n int) {
	t.Helper()
	dsn := database.start(t).DSN() + "&application_name=" + application
	for range n {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(t.Context()) })
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
	}
}

// counter is a service that counts what it is asked to do.
type counter struct {
	*httptest.Server
	mu    sync.Mutex
	calls map[string]int
}

func newCounter(t testing.TB) *counter {
	c := &counter{calls: map[string]int{}}
	c.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.calls[r.URL.Path]++
		c.mu.Unlock()
		if r.URL.Path == "/slow" {
			select {
			case <-time.After(2 * time.Second):
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *counter) count(path string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[path]
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come about", what)
		}
	}
}

func TestScripts(t *testing.T) {
	calls := newCounter(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Setup:               func(env *testscript.Env) error { return setUp(env, calls) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"rc":     rc,
			"calls":  func(ts *testscript.TestScript, _ bool, args []string) { countCalls(ts, calls, args) },
			"ready":  ready,
			"idle":   openIdle,
			"fill":   fill,
			"awaits": awaits,
			"says":   says,
			"fires":  fires,

			"alertmanager": startAlerts,
			"certificate":  writeCertificate,
			"alerts":       awaitAlerts,
		},
	})
}

func setUp(env *testscript.Env, calls *counter) error {
	address, err := lab.FreeAddress()
	if err != nil {
		return err
	}
	env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
	env.Setenv("USER", "ada")
	env.Setenv("SUDO_USER", "ada")
	env.Setenv("TZ", "UTC")
	env.Setenv("LANG", "C.UTF-8")
	env.Setenv("ADDRESS", address)
	env.Setenv("CALLS", calls.URL)
	env.Setenv("CALLS_ADDRESS", calls.Listener.Addr().String())
	env.Values["testing"] = env.T()
	return nil
}

// rc runs a command that must end with an exit code.
func rc(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: rc CODE PROGRAM ARG...")
	}
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Logf("[stdout]\n%s[stderr]\n%s", ts.ReadFile("stdout"), ts.ReadFile("stderr"))
		ts.Fatalf("%s ended with %d, not %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// calls checks how often a path was called.
func countCalls(ts *testscript.TestScript, calls *counter, args []string) {
	if got := strconv.Itoa(calls.count(args[0])); got != args[1] {
		ts.Fatalf("%s was called %s times, not %s", args[0], got, args[1])
	}
}

// ready waits for the engine that the script has started.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	ready := "http://" + ts.Getenv("ADDRESS") + "/-/ready"
	asking := http.DefaultClient
	if len(args) == 1 {
		ready = strings.Replace(ready, "http:", args[0]+":", 1)
		asking = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	}
	until(ts, func(context.Context) error {
		answer, err := asking.Get(ready)
		if err != nil {
			return fmt.Errorf("the engine is not ready: %w", err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("the engine is not ready: %s", answer.Status)
		}
		return nil
	})
}

// until waits for what a script cannot go on without.
func until(ts *testscript.TestScript, check func(context.Context) error) {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	ts.Check(child.Poll(ctx, 20*time.Millisecond, check))
}

// awaitAlerts waits until so many alerts of a name fire in Alertmanager.
func awaitAlerts(ts *testscript.TestScript, _ bool, args []string) {
	ask := ts.Getenv("ALERTS") + "/api/v2/alerts?filter=" + url.QueryEscape("alertname="+args[0])
	until(ts, func(context.Context) error {
		answer, err := http.Get(ask)
		ts.Check(err)
		defer answer.Body.Close()
		var alerts []json.RawMessage
		ts.Check(json.NewDecoder(answer.Body).Decode(&alerts))
		if strconv.Itoa(len(alerts)) != args[1] {
			return fmt.Errorf("%d alerts %s fire, not %s", len(alerts), args[0], args[1])
		}
		return nil
	})
}

// writeCertificate writes NAME.crt and NAME.key.
func writeCertificate(ts *testscript.TestScript, _ bool, args []string) {
	_, err := certificate.Issue(ts.MkAbs("."), args[0])
	ts.Check(err)
}

// says waits until a file has a text that another process writes.
func says(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, func(context.Context) error {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil || !strings.Contains(string(text), args[1]) {
			return fmt.Errorf("%s does not say %q: %s", args[0], args[1], text)
		}
		return nil
	})
}

// awaits waits until the newest run, or the engine itself, is in a state, until
// there is a fault, or until the newest drill has its verdict.
func awaits(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, func(context.Context) error {
		if !reached(ts, args[0]) {
			return fmt.Errorf("it is not %s", args[0])
		}
		return nil
	})
}

func reached(ts *testscript.TestScript, state string) bool {
	token := ""
	if file := ts.Getenv("RUNBOOK_TOKEN_FILE"); file != "" {
		token = strings.TrimSpace(ts.ReadFile(file))
	}
	c, err := client.New(ts.Getenv("RUNBOOK_SERVER"), client.Options{Token: token})
	ts.Check(err)
	ctx := context.Background()
	if state == "halt" || state == "storm" {
		status, err := c.Status(ctx)
		ts.Check(err)
		return state == "halt" && status.Halt != nil || state == "storm" && status.Storm != nil
	}
	if state == "fault" {
		there, err := c.Injections(ctx)
		return err == nil && len(there) > 0
	}
	if state == "verdict" {
		drills, err := c.Drills(ctx, gamedays.Filter{Limit: 1})
		ts.Check(err)
		return len(drills) > 0 && drills[0].Verdict != ""
	}
	rows, err := c.Runs(ctx, client.Filter{Limit: 1, Running: true})
	ts.Check(err)
	if len(rows) == 0 {
		return false
	}
	r, err := c.Run(ctx, rows[0].ID)
	ts.Check(err)
	return string(r.Phase) == state || (state == "halted" && r.Admission != nil && r.Admission.Guard == ledger.GuardHalt)
}

// fires sends the engine a message with so many alerts of a name.
func fires(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	var alerts []string
	for i := range n {
		alerts = append(alerts, fmt.Sprintf(`{"status": "firing", "labels": {"alertname": %q, "serial": "%d"}, "startsAt": %q}`,
			args[0], i, time.Now().UTC().Format(time.RFC3339Nano)))
	}
	body := `{"version": "4", "receiver": "r", "alerts": [` + strings.Join(alerts, ",") + `]}`
	answer, err := http.Post("http://"+ts.Getenv("ADDRESS")+"/webhook/alertmanager", "application/json", strings.NewReader(body))
	ts.Check(err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		ts.Fatalf("the engine answered %s", answer.Status)
	}
}

// startAlerts starts an Alertmanager, and names an address that is free for a way.
func startAlerts(ts *testscript.TestScript, _ bool, _ []string) {
	alerts, err := lab.StartAlertmanager(context.Background(), ts.MkAbs("."), lab.AlertmanagerOptions{})
	ts.Check(err)
	ts.Defer(func() { _ = alerts.Kill() })
	ts.Setenv("ALERTS", alerts.URL)
	way, err := lab.FreeAddress()
	ts.Check(err)
	ts.Setenv("WAY", way)
}

// openIdle opens sessions that sit in a transaction, and writes the file dsn.
func openIdle(ts *testscript.TestScript, _ bool, args []string) {
	t := ts.Value("testing").(testing.TB)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	idle(t, args[0], n)
	ts.Check(os.WriteFile(ts.MkAbs("dsn"), []byte(database.server.DSN()+"\n"), 0o600))
}

// fill replaces the variables in a file.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), func(key string) string {
			if slices.Contains([]string{"CALLS", "CALLS_ADDRESS", "WAY", "ALERTS"}, key) {
				return ts.Getenv(key)
			}
			return "${" + key + "}"
		})
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
