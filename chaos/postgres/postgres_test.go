package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
	actual "github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/conformance"
	"github.com/runbook-engine/runbook/chaos/postgres"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/lab"
)

func TestMain(m *testing.M) {
	code, ours := backstop.Main(os.Args[1:], backstop.Mode{Name: "engine", Run: engineProcess})
	if !ours {
		code = m.Run()
	}
	os.Exit(code)
}

// password of the engine's role is a secret that must show nowhere.
const password = "canary-9b27aa"

// start is a server with 20 connections, a database orders, a role app that
// works in it, and a role engine.
func start(t testing.TB) *lab.Postgres {
	t.Helper()
	server, err := lab.StartPostgres(t.Context(), t.TempDir(), lab.PostgresOptions{MaxConnections: 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, do := range [][2]string{
		{"postgres", "CREATE ROLE app LOGIN PASSWORD 'app'"},
		{"postgres", "CREATE ROLE engine LOGIN PASSWORD '" + password + "' IN ROLE pg_read_all_stats, pg_signal_backend"},
		{"postgres", "CREATE DATABASE orders OWNER app"},
		{"orders", "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 5) n; GRANT ALL ON orders TO app, engine"},
	} {
		if err := server.Exec(t.Context(), do[0], do[1]); err != nil {
			t.Fatal(err)
		}
	}
	return server
}

func config(t testing.TB, server *lab.Postgres) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(server.Address())
	return fmt.Sprintf("orders: {postgres: {host: %s, port: %s, user: engine, password_file: %s, database: orders, sslmode: disable}}", host, port, file)
}

// held are the sessions of faults, as somebody else sees them.
func held(t testing.TB, server *lab.Postgres) string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var names string
	err = conn.QueryRow(context.Background(), `SELECT coalesce(string_agg(pid || ' ' || state || ' ' || application_name, E'\n' ORDER BY pid), '')
		FROM pg_stat_activity WHERE usename = 'engine' AND application_name <> 'runbook'`).Scan(&names)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func count(t testing.TB, server *lab.Postgres) int {
	return strings.Count(held(t, server), " idle in transaction rb:")
}

// crowds is an application that needs six connections at a time.
func crowds(server *lab.Postgres) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 6 {
		conn, err := pgx.Connect(ctx, server.DSNFor("app", "app", "orders"))
		if err != nil {
			return err
		}
		defer conn.Close(context.Background())
	}
	return nil
}

// reads is an application that reads the table.
func reads(server *lab.Postgres) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.DSNFor("app", "app", "orders"))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, "SET lock_timeout = '100ms'"); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT FROM orders")
	return err
}

func TestHoldConnectionsConforms(t *testing.T) {
	server := start(t)
	conformance.Run(t, conformance.Case{
		Injector: postgres.Injector, Fault: "postgres.hold_connections",
		Connections: config(t, server), Kind: kind(), Secrets: []string{password},
		Params:  "{database: orders, sessions: 12}",
		State:   func(t *testing.T) string { return held(t, server) },
		Suffers: func(*testing.T) error { return crowds(server) },
	})
}

func TestHoldLockConforms(t *testing.T) {
	server := start(t)
	conformance.Run(t, conformance.Case{
		Injector: postgres.Injector, Fault: "postgres.hold_lock",
		Connections: config(t, server), Kind: kind(), Secrets: []string{password},
		Params:  "{database: orders, table: public.orders}",
		State:   func(t *testing.T) string { return held(t, server) },
		Suffers: func(*testing.T) error { return reads(server) },
	})
}

func kind() *actions.ConnectionKind { return actual.System(nil).Connection }

func open(config string) (*actions.Connections, *chaos.Catalog, error) {
	nodes, problems := document.Parse("connections.yaml", []byte(config))
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{kind()}, nodes[0])
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	return conns, chaos.NewCatalog(postgres.Injector(conns)), conns.Open(context.Background())
}

func engine(t testing.TB, config string) *chaos.Catalog {
	t.Helper()
	conns, catalog, err := open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	return catalog
}

func bind(catalog *chaos.Catalog, fault, params string) (chaos.Bound, error) {
	f, _ := catalog.Get(fault)
	b, problems := f.Bind([]byte(params))
	return b, problems.Err()
}

func mustBind(t testing.TB, catalog *chaos.Catalog, fault, params string) chaos.Bound {
	t.Helper()
	b, err := bind(catalog, fault, params)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

// To end the sessions is what remedies are for: nobody opens them again, and the
// injection still counts as one that was there.
func TestWhatARunbookEndsStaysEnded(t *testing.T) {
	server := start(t)
	b := mustBind(t, engine(t, config(t, server)), "postgres.hold_connections", "{database: orders, sessions: 5}")
	until := time.Now().Add(time.Minute)
	if err := b.Inject(t.Context(), "gd-1.hold", until); err != nil {
		t.Fatal(err)
	}
	if n := count(t, server); n != 5 {
		t.Fatalf("%d sessions are held", n)
	}
	remedy(t, server, 3)
	eventually(t, "two are left", func() bool { return count(t, server) == 2 })
	for range 2 {
		if err := b.Inject(t.Context(), "gd-1.hold", until); err != nil {
			t.Fatal(err)
		}
		remedy(t, server, 2)
		eventually(t, "none is left", func() bool { return count(t, server) == 0 })
	}
	if err := b.Healed(t.Context(), "gd-1.hold"); err != nil {
		t.Error(err)
	}
}

func remedy(t *testing.T, server *lab.Postgres, limit int) {
	t.Helper()
	err := server.Exec(t.Context(), "orders", fmt.Sprintf(`SELECT pg_terminate_backend(pid) FROM
		(SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' LIMIT %d) s`, limit))
	if err != nil {
		t.Fatal(err)
	}
}

func TestMoreThanTheServerHasIsRefusedAndLeavesNothing(t *testing.T) {
	server := start(t)
	b := mustBind(t, engine(t, config(t, server)), "postgres.hold_connections", "{database: orders, sessions: 40}")
	err := b.Inject(t.Context(), "gd-1.hold", time.Now().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "hold 40 sessions") || strings.Contains(err.Error(), password) {
		t.Errorf("held: %v", err)
	}
	eventually(t, "nothing is held", func() bool { return held(t, server) == "" })
}

func TestALockThatIsTakenIsWaitedForAndNotForEver(t *testing.T) {
	server := start(t)
	other, err := pgx.Connect(t.Context(), server.DSNFor("app", "app", "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	if _, err := other.Exec(t.Context(), "BEGIN; LOCK TABLE orders"); err != nil {
		t.Fatal(err)
	}
	b := mustBind(t, engine(t, config(t, server)), "postgres.hold_lock", "{database: orders, table: orders, wait: 50ms}")
	err = b.Inject(t.Context(), "gd-1.lock", time.Now().Add(time.Minute))
	if err == nil || !strings.Contains(err.Error(), "lock timeout") {
		t.Errorf("locked: %v", err)
	}
	eventually(t, "nothing is held", func() bool { return held(t, server) == "" })
}

func TestATableIsTakenAsItIsWritten(t *testing.T) {
	server := start(t)
	catalog := engine(t, config(t, server))
	for _, table := range []string{"nothing", "Orders", "nowhere.orders"} {
		s, err := mustBind(t, catalog, "postgres.hold_lock", "{database: orders, table: "+table+"}").Targets(t.Context())
		if err != nil || len(s.Targets) > 0 {
			t.Errorf("%s: %v %v", table, s.IDs(), err)
		}
	}
	for _, table := range []string{`'orders; DROP TABLE orders'`, `'a.b.c'`, `'"orders"'`, `''`} {
		if _, err := bind(catalog, "postgres.hold_lock", "{database: orders, table: "+table+"}"); err == nil {
			t.Errorf("%s is accepted", table)
		}
	}
	s, err := mustBind(t, catalog, "postgres.hold_lock", "{database: orders, table: orders}").Targets(t.Context())
	if err != nil || s.IDs()[0] != "table/orders/public.orders" {
		t.Errorf("%v %v", s.IDs(), err)
	}
}

// engineSpec is an engine of its own, in a process that a test can kill.
type engineSpec struct {
	Connections string
	Deadline    time.Time
}

func engineProcess(life backstop.Life) error {
	var spec engineSpec
	if err := json.Unmarshal(life.Spec, &spec); err != nil {
		return err
	}
	_, catalog, err := open(spec.Connections)
	if err != nil {
		return err
	}
	b, err := bind(catalog, "postgres.hold_connections", "{database: orders, sessions: 5}")
	if err != nil {
		return err
	}
	if err := b.Inject(context.Background(), "gd-1.engine", spec.Deadline); err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	select {}
}

func TestAnEngineThatIsKilledLeavesNothing(t *testing.T) {
	server := start(t)
	engine, err := backstop.Start(t.Context(), "engine", "test", engineSpec{config(t, server), time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, server); n != 5 {
		t.Errorf("%d sessions are held", n)
	}
	engine.Kill()
	eventually(t, "nothing is held", func() bool { return held(t, server) == "" })
}

// The server ends the sessions of an engine that hangs, and another engine finds
// and heals them before.
func TestAnEngineThatHangsHoldsNothingLonger(t *testing.T) {
	server := start(t)
	config := config(t, server)
	for name, heal := range map[string]func(*testing.T){
		"at the deadline": func(*testing.T) {},
		"until a sweep": func(t *testing.T) {
			catalog := engine(t, config)
			if swept, err := catalog.Sweep(t.Context(), time.Now(), true); err != nil || len(swept) != 1 || swept[0].ID != "gd-1.engine" {
				t.Errorf("swept %v: %v", swept, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			lasting := time.Hour
			if name == "at the deadline" {
				lasting = 3 * time.Second
			}
			engine, err := backstop.Start(t.Context(), "engine", "test", engineSpec{config, time.Now().Add(lasting)})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(engine.Kill)
			if err := syscall.Kill(engine.PID(), syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			heal(t)
			eventually(t, "nothing is held", func() bool { return held(t, server) == "" })
		})
	}
}

// A right that is missing is told before anything is done, as the lock itself
// would meet it.
func TestTheRightToLockIsAskedFor(t *testing.T) {
	server := start(t)
	catalog := engine(t, config(t, server))
	for n, c := range []struct {
		grant string
		may   bool
	}{{"SELECT 1", true}, {"REVOKE ALL ON orders FROM engine; GRANT SELECT, INSERT ON orders TO engine", false}, {"GRANT DELETE ON orders TO engine", true}} {
		if err := server.Exec(t.Context(), "orders", c.grant); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{"access exclusive", "share"} {
			b := mustBind(t, catalog, "postgres.hold_lock", "{database: orders, table: public.orders, mode: "+mode+"}")
			asked, told := b.Allowed(t.Context())
			id := chaos.ID(fmt.Sprintf("rights-%d.%s", n, mode[:5]))
			met := b.Inject(t.Context(), id, time.Now().Add(time.Minute))
			if !asked || (told == nil) != c.may || (met == nil) != c.may {
				t.Errorf("%s, %s: it is told %v, and the lock meets %v", c.grant, mode, told, met)
			}
			if told != nil && !strings.Contains(told.Error(), "role engine may not lock public.orders") {
				t.Error(told)
			}
			if err := b.Recover(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
	}
}
