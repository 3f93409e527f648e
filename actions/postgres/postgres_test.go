package postgres_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/internal/lab"
)

// password of the engine's role is a secret that must show nowhere.
const password = "canary-c31e8d"

// start is a server with a database orders, a role app that works in it, and a
// role engine that may watch and end sessions.
func start(t testing.TB, options lab.PostgresOptions) *lab.Postgres {
	t.Helper()
	server, err := lab.StartPostgres(t.Context(), t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, statement := range []string{
		"CREATE ROLE app LOGIN PASSWORD 'app'",
		"CREATE ROLE engine LOGIN PASSWORD '" + password + "' IN ROLE pg_read_all_stats, pg_signal_backend",
		"CREATE DATABASE orders OWNER app",
	} {
		execute(t, server, "postgres", statement)
	}
	execute(t, server, "orders", "CREATE TABLE orders AS SELECT n AS id, 'open' AS state FROM generate_series(1, 5) n; GRANT ALL ON orders TO app, engine")
	return server
}

func execute(t testing.TB, server *lab.Postgres, database, sql string) {
	t.Helper()
	if err := server.Exec(context.Background(), database, sql); err != nil {
		t.Fatal(err)
	}
}

func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// ask is one text from the server, by a client that is not ours.
func ask(t testing.TB, conn *pgx.Conn, question string, args ...any) (answer string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), question, args...).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// work opens a session of the role app with an application_name and runs a
// statement in it, such as BEGIN.
func work(t testing.TB, server *lab.Postgres, application, statement string) *pgx.Conn {
	t.Helper()
	conn := connect(t, server.DSNFor("app", "app", "orders")+"&application_name="+application)
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
	return conn
}

func secretFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// asEngine is the config of a connection orders, in the role engine.
func asEngine(passwordFile string) func(address string) string {
	return func(address string) string {
		host, port, _ := net.SplitHostPort(address)
		return fmt.Sprintf("orders: {postgres: {host: %s, port: %s, user: engine, password_file: %s, database: orders, sslmode: disable}}",
			host, port, passwordFile)
	}
}

// open are the actions over the connections of a config.
func open(t testing.TB, connections string) *actions.Catalog {
	t.Helper()
	return conformance.Open(t, postgres.System, connections)
}

func engine(t testing.TB, server *lab.Postgres) *actions.Catalog {
	t.Helper()
	return open(t, asEngine(secretFile(t, password))(server.Address()))
}

func bind(t testing.TB, catalog *actions.Catalog, action, params string) actions.Bound {
	t.Helper()
	return conformance.Bind(t, catalog, action, params)
}

// fails wants an error of a class that says something.
func fails(t testing.TB, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || actions.ClassOf(err) != class {
		t.Errorf("failed as %s with %v, want %s, …%s…", actions.ClassOf(err), err, class, says)
	}
}

// eventually waits for what the server does in its own time.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after 20s: %s", what)
		}
	}
}
