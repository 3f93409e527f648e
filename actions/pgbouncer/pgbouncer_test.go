package pgbouncer_test

import (
	"context"
	"encoding/json"
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
	"github.com/runbook-engine/runbook/actions/pgbouncer"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
)

const password = "canary-5d0c17"

type world struct {
	pooler *proxy.PgBouncer
	places [2]string // of the database orders, as PgBouncer's config has them
}

// start is a PgBouncer before two servers, one of which its database orders is at.
// Each server knows which it is.
func start(t *testing.T) *world {
	t.Helper()
	w := &world{}
	for i := range w.places {
		server, err := lab.StartPostgres(t.Context(), t.TempDir(), lab.PostgresOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		for _, statement := range []string{"CREATE ROLE app LOGIN PASSWORD 'app'", fmt.Sprintf("CREATE TABLE here AS SELECT '%d' AS number; GRANT ALL ON here TO app", i)} {
			if err := server.Exec(t.Context(), "postgres", statement); err != nil {
				t.Fatal(err)
			}
		}
		host, port, _ := net.SplitHostPort(server.Address())
		w.places[i] = fmt.Sprintf("host=%s port=%s dbname=postgres", host, port)
	}
	var err error
	w.pooler, err = proxy.StartPgBouncer(t.Context(), t.TempDir(), proxy.PgBouncerOptions{
		Databases: map[string]string{"orders": w.places[0]},
		Users:     map[string]string{"app": "app"},
		Admins:    map[string]string{"engine": password},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.pooler.Close() })
	return w
}

func (w *world) config(t *testing.T) func(address string) string {
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(address string) string {
		host, port, _ := net.SplitHostPort(address)
		return fmt.Sprintf("edge: {pgbouncer: {host: %s, port: %s, user: engine, password_file: %s, sslmode: disable}}", host, port, file)
	}
}

// tell is the console by another client than ours.
func (w *world) tell(t *testing.T, order string) [][]byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.pooler.DSNFor("engine", password, "pgbouncer"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	results, err := conn.PgConn().Exec(t.Context(), order).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", order, err)
	}
	for _, r := range results {
		for _, row := range r.Rows {
			if string(row[0]) == "orders" {
				return row
			}
		}
	}
	return nil
}

// state is where orders is and whether it is paused.
func (w *world) state(t *testing.T) string {
	t.Helper()
	d := w.tell(t, "SHOW DATABASES")
	return fmt.Sprintf("port %s paused %s", d[2], d[len(d)-2])
}

func (w *world) paused(t *testing.T) bool { return strings.HasSuffix(w.state(t), "paused 1") }

func TestActionsConform(t *testing.T) {
	t.Parallel()
	w := start(t)
	conformance.Run(t, conformance.Case{
		System: pgbouncer.System, Action: "pgbouncer.pool", Connections: w.config(t), Address: w.pooler.Address(),
		Secrets: []string{password}, Params: "{database: orders}", State: w.state,
		Measured: []string{"max_wait", "clients_active", "servers_active", "servers_idle"},
	})
	for _, order := range []string{"{database: orders}", "{database: orders, kill: true}"} {
		conformance.Run(t, conformance.Case{
			System: pgbouncer.System, Action: "pgbouncer.pause", Connections: w.config(t), Address: w.pooler.Address(),
			Secrets: []string{password}, Params: order, State: w.state,
			Arrange: func(t *testing.T) {
				if w.paused(t) {
					w.tell(t, "RESUME orders")
				}
			},
		})
	}
	conformance.Run(t, conformance.Case{
		System: pgbouncer.System, Action: "pgbouncer.resume", Connections: w.config(t), Address: w.pooler.Address(),
		Secrets: []string{password}, Params: "{database: orders}", State: w.state,
		Arrange: func(t *testing.T) {
			if !w.paused(t) {
				w.tell(t, "PAUSE orders")
			}
		},
	})
	w.tell(t, "RESUME orders")
	next := 0
	conformance.Run(t, conformance.Case{
		System: pgbouncer.System, Action: "pgbouncer.reload", Connections: w.config(t), Address: w.pooler.Address(),
		Secrets: []string{password}, Params: "{database: orders}", State: w.state,
		Arrange: func(t *testing.T) {
			w.tell(t, "RELOAD")
			next = 1 - next
			if err := w.pooler.Point("orders", w.places[next]); err != nil {
				t.Fatal(err)
			}
		},
	})
}

func (w *world) act(t *testing.T, action, params string) (map[string]any, error) {
	t.Helper()
	b := conformance.Bind(t, conformance.Open(t, pgbouncer.System, w.config(t)(w.pooler.Address())), action, params)
	raw, err := b.Run(t.Context(), "key", *b.OnlyTarget())
	var result map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &result)
	}
	return result, err
}

// where asks a new client which server it is led to.
func (w *world) where(ctx context.Context) (string, error) {
	conn, err := pgx.Connect(ctx, w.pooler.DSNFor("app", "app", "orders"))
	if err != nil {
		return "", err
	}
	defer conn.Close(context.Background())
	var number string
	err = conn.QueryRow(ctx, "SELECT number FROM here", pgx.QueryExecModeSimpleProtocol).Scan(&number)
	return number, err
}

// Held, led elsewhere, let go: a client that comes meanwhile waits, and is served by
// the other server.
func TestClientsAreLedElsewhere(t *testing.T) {
	t.Parallel()
	w := start(t)
	if at, err := w.where(t.Context()); err != nil || at != "0" {
		t.Fatalf("first they are led to %q, %v", at, err)
	}
	must := func(action, params string) {
		t.Helper()
		if _, err := w.act(t, action, params); err != nil {
			t.Fatal(err)
		}
	}
	must("pgbouncer.pause", "{database: orders, kill: true}")
	waiting := make(chan string, 1)
	go func() {
		at, err := w.where(t.Context())
		waiting <- fmt.Sprint(at, err)
	}()
	deadline := time.Now().Add(time.Minute)
	for {
		r, err := w.act(t, "pgbouncer.pool", "{database: orders}")
		if err != nil {
			t.Fatal(err)
		}
		if r["clients_waiting"] == 1.0 && r["paused"] == true {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody waits: %v", r)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := w.pooler.Point("orders", w.places[1]); err != nil {
		t.Fatal(err)
	}
	must("pgbouncer.reload", "{database: orders}")
	must("pgbouncer.resume", "{database: orders}")
	if got := <-waiting; got != "1<nil>" && got != "1 <nil>" {
		t.Errorf("who waited was led to %s", got)
	}
}

func TestAClientAtWorkHoldsUpAPause(t *testing.T) {
	t.Parallel()
	w := start(t)
	conn, err := pgx.Connect(t.Context(), w.pooler.DSNFor("app", "app", "orders"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
		t.Fatal(err)
	}
	_, err = w.act(t, "pgbouncer.pause", "{database: orders}")
	if err == nil || !strings.Contains(err.Error(), "pause with kill") || !strings.Contains(err.Error(), `pgbouncer "edge"`) {
		t.Errorf("it fails with %v", err)
	}
	if _, err := w.act(t, "pgbouncer.resume", "{database: nothing}"); err == nil || actions.ClassOf(err) != actions.ClassPermanent {
		t.Errorf("a database that is not there: %v", err)
	}
}
