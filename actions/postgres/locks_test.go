package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/internal/lab"
)

// begin runs a statement in a session that does not come back from it, until the
// test is over: the session is closed only then.
func begin(t testing.TB, conn *pgx.Conn, statement string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = conn.Exec(ctx, statement)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
}

// queue is a session that holds a lock, a second that waits for it and holds
// another, and a third that waits for the second; by their names, of application.
func queue(t testing.TB, server *lab.Postgres, watcher *pgx.Conn) map[string]*pgx.Conn {
	t.Helper()
	all := map[string]*pgx.Conn{
		"head":  work(t, server, "head", "BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE"),
		"next":  work(t, server, "next", "BEGIN; SELECT FROM orders WHERE id = 2 FOR UPDATE"),
		"third": work(t, server, "third", "SELECT 1"),
		"other": work(t, server, "other", "BEGIN; SELECT FROM orders WHERE id = 3 FOR UPDATE"),
	}
	begin(t, all["next"], "SELECT FROM orders WHERE id = 1 FOR UPDATE")
	waits(t, watcher, "next")
	begin(t, all["third"], "SELECT FROM orders WHERE id = 2 FOR UPDATE")
	waits(t, watcher, "third")
	return all
}

func waits(t testing.TB, watcher *pgx.Conn, application string) {
	t.Helper()
	eventually(t, application+" waits", func() bool {
		return ask(t, watcher, "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", application) == "1"
	})
}

const sessionsOfApp = `SELECT coalesce(string_agg(application_name || ' ' || state, E'\n' ORDER BY application_name), '') FROM pg_stat_activity WHERE usename = 'app'`

func TestUnblockConforms(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.unblock",
		Connections: asEngine(secretFile(t, password)),
		Address:     server.Address(),
		Secrets:     []string{password},
		Params:      "{database: orders, waiting: 0s}",
		Nothing:     "{database: orders, waiting: 0s, waiters: 3}",
		Arrange: func(t *testing.T) {
			clearSessions(t, server, watcher)
			queue(t, server, watcher)
		},
		State: func(t *testing.T) string { return settled(t, watcher) },
	})
}

// clearSessions ends all sessions of the role app.
func clearSessions(t testing.TB, server *lab.Postgres, watcher *pgx.Conn) {
	t.Helper()
	execute(t, server, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
	eventually(t, "all sessions are gone", func() bool { return ask(t, watcher, sessionsOfApp) == "" })
}

// settled is what the sessions do once those that can go on have gone on.
func settled(t testing.TB, watcher *pgx.Conn) string {
	t.Helper()
	before := ""
	eventually(t, "the sessions settle", func() bool {
		now := ask(t, watcher, sessionsOfApp)
		same := now == before && ask(t, watcher, "SELECT count(*)::text FROM pg_stat_activity WHERE usename = 'app' AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock'") == "0"
		before = now
		return same
	})
	return before
}

func TestUnblockEndsTheHeadOfTheQueue(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	sessions := queue(t, server, watcher)
	catalog := engine(t, server)
	for params, want := range map[string]string{
		"{database: orders, waiting: 0s}":                       "head",
		"{database: orders, waiting: 0s, waiters: 2, limit: 9}": "head",
		"{database: orders, waiting: 0s, limit: 9}":             "head",
		"{database: orders, waiting: 0s, waiters: 3}":           "",
		"{database: orders, waiting: 1h}":                       "",
	} {
		s, err := bind(t, catalog, "postgres.unblock", params).Targets(t.Context())
		if got := names(sessions, s); err != nil || got != want {
			t.Errorf("%s selects %q, %v", params, got, err)
		}
	}
	b := bind(t, catalog, "postgres.unblock", "{database: orders, waiting: 0s}")
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) != 1 || !strings.HasPrefix(s.Targets[0].Doc, "holds up 2, for ") {
		t.Fatalf("selects %v, %v", s.Targets, err)
	}
	runs(t, b, s.Targets[0], `{"outcome":"ended","state":""}`)
	if got := settled(t, watcher); got != "next idle in transaction\nother idle in transaction\nthird active" {
		t.Errorf("then there are\n%s", got)
	}
	// What no longer holds anybody up is spared.
	b = bind(t, catalog, "postgres.unblock", "{database: orders, waiting: 0s}")
	s, err = b.Targets(t.Context())
	if err != nil || names(sessions, s) != "next" {
		t.Fatalf("then it selects %q, %v", names(sessions, s), err)
	}
	execute(t, server, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'third'")
	eventually(t, "nobody waits", func() bool { return settled(t, watcher) == "next idle in transaction\nother idle in transaction" })
	runs(t, b, s.Targets[0], `{"outcome":"spared","state":"idle in transaction"}`)
}

func TestUnblockLeavesSuperusersAndOurselvesAlone(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	execute(t, server, "postgres", "CREATE ROLE root LOGIN SUPERUSER PASSWORD 'root'")
	holder := connect(t, server.DSNFor("root", "root", "orders"))
	ours := work(t, server, "runbook", "BEGIN; SELECT FROM orders WHERE id = 2 FOR UPDATE")
	if _, err := holder.Exec(t.Context(), "BEGIN; SELECT FROM orders WHERE id = 1 FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	for application, statement := range map[string]string{"one": "SELECT FROM orders WHERE id = 1 FOR UPDATE", "two": "SELECT FROM orders WHERE id = 2 FOR UPDATE"} {
		begin(t, work(t, server, application, "SELECT 1"), statement)
		waits(t, watcher, application)
	}
	catalog := engine(t, server)
	for params, want := range map[string]string{"": "", ", superusers: true": "super"} {
		s, err := bind(t, catalog, "postgres.unblock", "{database: orders, waiting: 0s, limit: 9"+params+"}").Targets(t.Context())
		if got := names(map[string]*pgx.Conn{"super": holder, "ours": ours}, s); err != nil || got != want {
			t.Errorf("%s selects %q, %v", params, got, err)
		}
	}
}

func TestOnlyWhoBlocksIsSelected(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	sessions := queue(t, server, watcher)
	catalog := engine(t, server)
	for _, c := range []struct{ action, params, want string }{
		{terminate, "state: idle in transaction, blocking: true", "head"},
		{terminate, "state: active, blocking: true", "next"},
		{"postgres.cancel_backends", "blocking: true", "next"},
		{"postgres.cancel_backends", "application: third", "third"},
		{"postgres.cancel_backends", "user: nobody", ""},
	} {
		s, err := bind(t, catalog, c.action, "{database: orders, older_than: 0s, "+c.params+"}").Targets(t.Context())
		got := strings.ReplaceAll(names(sessions, statementsAsSessions(s)), " ", "")
		if err != nil || got != c.want {
			t.Errorf("%s %s selects %q, %v", c.action, c.params, got, err)
		}
	}
}

// statementsAsSessions names statements like the sessions that they are of.
func statementsAsSessions(s actions.Selection) actions.Selection {
	for i := range s.Targets {
		s.Targets[i].ID = strings.Replace(s.Targets[i].ID, "statement/", "backend/", 1)
	}
	return s
}

func TestCancelBackendsConforms(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.cancel_backends",
		Connections: asEngine(secretFile(t, password)),
		Address:     server.Address(),
		Secrets:     []string{password},
		Params:      "{database: orders, older_than: 0s}",
		Nothing:     "{database: orders, older_than: 1h}",
		Arrange: func(t *testing.T) {
			clearSessions(t, server, watcher)
			begin(t, work(t, server, "api", "SELECT 1"), "SELECT pg_sleep(600)")
			eventually(t, "it sleeps", func() bool { return ask(t, watcher, sessionsOfApp) == "api active" })
		},
		State: func(t *testing.T) string { return ask(t, watcher, sessionsOfApp) },
	})
}

func TestCancelSparesTheNextStatement(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	conn := work(t, server, "api", "SELECT 1")
	begin(t, conn, "SELECT pg_sleep(0.5); SELECT pg_sleep(600)")
	active := func() bool { return ask(t, watcher, sessionsOfApp) == "api active" }
	eventually(t, "it sleeps", active)
	b := bind(t, engine(t, server), "postgres.cancel_backends", "{database: orders, older_than: 0s}")
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) != 1 {
		t.Fatalf("selects %v, %v", s.Targets, err)
	}
	older := s.Targets[0]
	at := strings.LastIndex(older.ID, "@")
	older.ID = older.ID[:at] + "@1.000001"
	runs(t, b, older, `{"outcome":"ended"}`)
	for range 100 { // a cancelled one takes a moment to end
		if !active() {
			t.Fatal("another statement of the session was cancelled")
		}
	}
	runs(t, b, s.Targets[0], `{"outcome":"ended"}`)
	if got := ask(t, watcher, sessionsOfApp); got != "api idle" {
		t.Errorf("then the session is %q", got)
	}
}

func TestPressureConforms(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{MaxConnections: 53})
	watcher := connect(t, server.DSN())
	queue(t, server, watcher)
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.pressure",
		Connections: asEngine(secretFile(t, password)),
		Address:     server.Address(),
		Secrets:     []string{password},
		Params:      "{database: orders}",
		Measured:    []string{"used", "ratio", "longest_transaction"},
		State:       func(t *testing.T) string { return ask(t, watcher, sessionsOfApp) },
	})
	r, err := run(t, engine(t, server), "postgres.pressure", "{database: orders}")
	if err != nil || r["max"] != 50.0 || r["idle_in_transaction"] != 2.0 || r["waiting"] != 2.0 || r["active"] != 2.0 || r["longest_transaction"].(float64) <= 0 {
		t.Errorf("it gives %v, %v", r, err)
	}
	execute(t, server, "postgres", "REVOKE pg_read_all_stats FROM engine")
	_, err = run(t, engine(t, server), "postgres.pressure", "{database: orders}")
	fails(t, err, actions.ClassPermanent, "GRANT pg_read_all_stats")
}
