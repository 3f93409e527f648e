package postgres_test

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/internal/lab"
)

const terminate = "postgres.terminate_backends"

func TestTerminateBackendsConforms(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSN())
	var held []*pgx.Conn
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.terminate_backends",
		Connections: asEngine(secretFile(t, password)),
		Address:     server.Address(),
		Secrets:     []string{password},
		Params:      "{database: orders, state: idle in transaction, older_than: 0s}",
		Nothing:     "{database: orders, state: idle in transaction, older_than: 1h}",
		Arrange: func(*testing.T) {
			for _, conn := range held {
				conn.Close(context.Background())
			}
			held = []*pgx.Conn{work(t, server, "api", "BEGIN"), work(t, server, "api", "BEGIN"), work(t, server, "api", "SELECT 1")}
		},
		State: func(t *testing.T) string {
			return ask(t, watcher, `SELECT coalesce(string_agg(pid || ' ' || state, E'\n' ORDER BY pid), '') FROM pg_stat_activity WHERE usename = 'app'`)
		},
	})
}

// crowd is a session of each kind that must be told from the others.
func crowd(t *testing.T, server *lab.Postgres) map[string]*pgx.Conn {
	t.Helper()
	all := map[string]*pgx.Conn{
		"first":   work(t, server, "api", "BEGIN"),
		"second":  work(t, server, "report", "BEGIN"),
		"idle":    work(t, server, "api", "SELECT 1"),
		"aborted": work(t, server, "api", "BEGIN"),
		"ours":    work(t, server, "runbook", "BEGIN"),
	}
	if _, err := all["aborted"].Exec(t.Context(), "nonsense"); err == nil {
		t.Fatal("nonsense works")
	}
	execute(t, server, "postgres", "CREATE ROLE root LOGIN SUPERUSER PASSWORD 'root'; CREATE ROLE standby LOGIN REPLICATION PASSWORD 'standby'")
	all["super"] = connect(t, server.DSNFor("root", "root", "orders"))
	all["elsewhere"] = connect(t, server.DSNFor("app", "app", "postgres"))
	for _, name := range []string{"super", "elsewhere"} {
		if _, err := all[name].Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
	}
	replica, err := pgconn.Connect(t.Context(), server.DSNFor("standby", "standby", "orders")+"&replication=database")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { replica.Close(context.Background()) })
	return all
}

func TestTerminateSelects(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	sessions := crowd(t, server)
	catalog := engine(t, server)
	for params, want := range map[string]string{
		"state: idle in transaction":                                     "first second",
		"state: idle in transaction, limit: 1":                           "first",
		"state: idle in transaction, by: transaction":                    "first second",
		"state: idle in transaction, application: report":                "second",
		"state: idle in transaction, user: app":                          "first second",
		"state: idle in transaction, user: nobody":                       "",
		"state: idle in transaction, user: root":                         "",
		"state: idle in transaction, user: root, superusers: true":       "super",
		"state: idle in transaction, application: runbook":               "",
		"state: idle in transaction (aborted)":                           "aborted",
		"state: idle":                                                    "idle",
		"state: idle, superusers: true":                                  "idle",
		"state: active":                                                  "",
		`state: idle in transaction, application: "' OR true --"`:        "",
		`state: idle in transaction, user: "app'; DROP TABLE orders --"`: "",
	} {
		b := bind(t, catalog, terminate, "{database: orders, older_than: 0s, "+params+"}")
		s, err := b.Targets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := names(sessions, s); got != want {
			t.Errorf("%s selects %q, want %q", params, got, want)
		}
		if s.Population != 5 { // first, second, idle, aborted, super
			t.Errorf("%s: the population is %d", params, s.Population)
		}
		for _, target := range s.Targets { // it has no other name than that of their place
			if s.Name != "" || path.Dir(target.ID) != "backend/orders" {
				t.Errorf("%s: %s of the population %q", params, target.ID, s.Name)
			}
		}
	}
}

// names are those of the sessions that are targets, in the order of the targets.
func names(sessions map[string]*pgx.Conn, s actions.Selection) string {
	var found []string
	for _, target := range s.Targets {
		name := target.ID
		for known, conn := range sessions {
			if strings.HasPrefix(target.ID, fmt.Sprintf("backend/orders/%d@", conn.PgConn().PID())) {
				name = known
			}
		}
		found = append(found, name)
	}
	return strings.Join(found, " ")
}

func TestTerminateWaitsUntilASessionIsOldEnough(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	catalog := engine(t, server)
	conn := work(t, server, "api", "BEGIN")
	bound := func(params string) actions.Bound {
		return bind(t, catalog, terminate, "{database: orders, state: idle in transaction, older_than: 1s, "+params+"}")
	}
	count := func(b actions.Bound) int {
		s, err := b.Targets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(s.Targets)
	}
	eventually(t, "the transaction is a second old", func() bool { return count(bound("by: transaction")) == 1 })
	if _, err := conn.Exec(t.Context(), "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if count(bound("by: transaction")) != 1 {
		t.Error("the age of the transaction began anew")
	}
	state := bound("by: state")
	eventually(t, "the state is a second old", func() bool { return count(state) == 1 })
}

// one is the only target of params, and the action bound.
func one(t *testing.T, server *lab.Postgres, params string) (actions.Bound, actions.Target) {
	t.Helper()
	b := bind(t, engine(t, server), terminate, params)
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) != 1 {
		t.Fatalf("selects %v, %v", s.Targets, err)
	}
	return b, s.Targets[0]
}

func TestTerminateSparesWhoWorksAgain(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	conn := work(t, server, "api", "BEGIN")
	b, target := one(t, server, "{database: orders, state: idle in transaction, older_than: 0s}")
	if want := "idle in transaction for 0s: api as app from 127.0.0.1, in a transaction for 0s"; target.Doc != want {
		t.Errorf("the target is %q, want %q", target.Doc, want)
	}
	if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	runs(t, b, target, `{"outcome":"spared","state":"idle"}`)
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("it was ended: %v", err)
	}
	conn.Close(t.Context())
	runs(t, b, target, `{"outcome":"ended","state":""}`)
}

func runs(t *testing.T, b actions.Bound, target actions.Target, want string) {
	t.Helper()
	eventually(t, want, func() bool {
		got, err := b.Run(t.Context(), "key", target)
		if err != nil {
			t.Fatal(err)
		}
		return string(got) == want
	})
}

func TestTerminateKnowsASessionFromAnotherWithItsPid(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	conn := work(t, server, "api", "BEGIN")
	b, target := one(t, server, "{database: orders, state: idle in transaction, older_than: 0s}")
	last := target.ID[len(target.ID)-1]
	target.ID = target.ID[:len(target.ID)-1] + string('0'+(last-'0'+1)%10)
	runs(t, b, target, `{"outcome":"ended","state":""}`)
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("the session with the same pid was ended: %v", err)
	}
}

func TestTerminateNamesTheRoleItLacks(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	work(t, server, "api", "BEGIN")
	b, target := one(t, server, "{database: orders, state: idle in transaction, older_than: 0s}")
	execute(t, server, "postgres", "REVOKE pg_signal_backend FROM engine")
	_, err := b.Run(t.Context(), "key", target)
	fails(t, err, actions.ClassPermanent, "GRANT pg_signal_backend")

	// A role that may not look sees no state, which must not pass for no session.
	execute(t, server, "postgres", "REVOKE pg_read_all_stats FROM engine")
	_, err = b.Targets(t.Context())
	fails(t, err, actions.ClassPermanent, "GRANT pg_read_all_stats")
	b = bind(t, engine(t, server), terminate, "{database: orders, state: idle, older_than: 0s, user: engine}")
	if s, err := b.Targets(t.Context()); err != nil || len(s.Targets) != 0 {
		t.Errorf("its own role's sessions, which it may see, are %v, %v", s.Targets, err)
	}
}

func TestTerminateEndsSuperusersOnlyForASuperuser(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	execute(t, server, "postgres", "CREATE ROLE root LOGIN SUPERUSER PASSWORD 'root'")
	conn := connect(t, server.DSNFor("root", "root", "orders"))
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	params := "{database: orders, state: idle in transaction, older_than: 0s, superusers: true}"
	b, target := one(t, server, params)
	_, err := b.Run(t.Context(), "key", target)
	fails(t, err, actions.ClassPermanent, "superuser")

	b = bind(t, open(t, "orders: {postgres: {dsn_file: "+secretFile(t, server.DSNFor("root", "root", "orders"))+"}}"), terminate, params)
	runs(t, b, target, `{"outcome":"ended","state":""}`)
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the session lives")
	}
}

// TestACancelledListingKeepsTheSession: the engine may not lose its one session
// each time a run is cancelled. A lock on the table of roles holds the listing up.
func TestACancelledListingKeepsTheSession(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	work(t, server, "api", "BEGIN")
	b, _ := one(t, server, "{database: orders, state: idle in transaction, older_than: 0s}")
	watcher := connect(t, server.DSN())
	ours := func() string {
		return ask(t, watcher, "SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_get_activity(NULL) WHERE application_name = 'runbook'")
	}
	before := ours()
	locker := connect(t, server.DSN())
	if _, err := locker.Exec(t.Context(), "BEGIN; LOCK TABLE pg_authid IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		_, err := b.Targets(ctx)
		stopped <- err
	}()
	eventually(t, "the listing waits for the lock", func() bool {
		return ask(t, watcher, "SELECT count(*)::text FROM pg_locks WHERE NOT granted") != "0"
	})
	cancel()
	fails(t, <-stopped, actions.ClassTransient, context.Canceled.Error())
	if _, err := locker.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Targets(t.Context()); err != nil {
		t.Error(err)
	}
	if after := ours(); after != before || before == "" {
		t.Errorf("our sessions were %q, and are %q", before, after)
	}
}

func TestTerminateRefusesWhatIsNoSession(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	b := bind(t, engine(t, server), terminate, "{database: orders, state: idle, older_than: 0s}")
	for _, id := range []string{
		"backend/other/1@1.000000", "backend/orders/0@1.000000", "backend/orders/99999999999@1.000000",
		"backend/orders/1@9999999999999999.000000", "backend/orders/1", "backend/orders/1@1.0",
	} {
		_, err := b.Run(t.Context(), "key", actions.Target{ID: id})
		fails(t, err, actions.ClassPermanent, "names no session")
	}
}

func TestParallelIsDeclared(t *testing.T) {
	i := slices.IndexFunc(postgres.System(nil).Actions, func(a actions.Action) bool { return a.Name == terminate })
	if got := postgres.System(nil).Actions[i].Parallel; got != 20 {
		t.Errorf("%d at a time", got)
	}
}
