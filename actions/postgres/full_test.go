package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/lab"
)

// fill takes every connection that an ordinary role can get.
func fill(t *testing.T, server *lab.Postgres) (taken int) {
	t.Helper()
	for {
		conn, err := pgx.Connect(t.Context(), server.DSNFor("app", "app", "orders"))
		if err != nil && taken > 0 {
			return taken
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		if _, err := conn.Exec(t.Context(), "BEGIN"); err != nil {
			t.Fatal(err)
		}
		taken++
	}
}

// all runs on all targets, as many at a time as the action declares.
func all(ctx context.Context, b actions.Bound, targets []actions.Target) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(b.Parallel)
	for _, target := range targets {
		group.Go(func() error {
			_, err := b.Run(ctx, actions.Key(target.ID), target)
			return err
		})
	}
	return group.Wait()
}

// warm opens the connection, as the engine does at its start.
func warm(t testing.TB, server *lab.Postgres, catalog *actions.Catalog) {
	t.Helper()
	b := bind(t, catalog, terminate, "{database: orders, state: idle, older_than: 1h}")
	if _, err := b.Targets(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAFullServerIsRelieved(t *testing.T) {
	server := start(t, lab.PostgresOptions{MaxConnections: 30})
	catalog := engine(t, server)
	warm(t, server, catalog)
	taken := fill(t, server)

	probe := bind(t, catalog, "postgres.query", "{database: orders, query: SELECT count(*) FROM pg_stat_activity WHERE usename = $1, args: [app]}")
	result, err := probe.Run(t.Context(), "key", actions.Target{})
	if err != nil || !strings.Contains(string(result), `"count":1`) {
		t.Errorf("a probe on the full server gives %s, %v", result, err)
	}

	b := bind(t, catalog, terminate, "{database: orders, state: idle in transaction, older_than: 0s, limit: 1000}")
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) != taken || s.Population != taken {
		t.Fatalf("selects %d of %d, want %d, %v", len(s.Targets), s.Population, taken, err)
	}
	if err := all(t.Context(), b, s.Targets); err != nil {
		t.Fatal(err)
	}
	if s, err = b.Targets(t.Context()); err != nil || len(s.Targets) != 0 || s.Population != 0 {
		t.Errorf("then it selects %d of %d, %v", len(s.Targets), s.Population, err)
	}
}

func TestAFullServerThatLeavesNoneForUsSaysSo(t *testing.T) {
	server := start(t, lab.PostgresOptions{MaxConnections: 10})
	catalog := engine(t, server)
	fill(t, server)
	b := bind(t, catalog, terminate, "{database: orders, state: idle in transaction, older_than: 0s}")
	_, err := b.Targets(t.Context())
	for _, says := range []string{`list the sessions of postgres "orders"`, "no connection left for the engine", "pg_use_reserved_connections"} {
		fails(t, err, actions.ClassTransient, says)
	}
	probe := bind(t, catalog, "postgres.query", "{database: orders, query: SELECT 1}")
	_, err = probe.Run(t.Context(), "key", actions.Target{})
	fails(t, err, actions.ClassTransient, "no connection left for the engine")
}

// BenchmarkRelief is from the selection of 100 idle sessions to the end of the
// last of them, and beside it the floor: as many calls of pg_terminate_backend
// on one connection, which wait for nothing.
func BenchmarkRelief(b *testing.B) {
	server := start(b, lab.PostgresOptions{MaxConnections: 150})
	catalog := engine(b, server)
	warm(b, server, catalog)
	bound := bind(b, catalog, terminate, "{database: orders, state: idle in transaction, older_than: 0s, limit: 100}")
	admin := connect(b, server.DSN())
	sessions := func(b *testing.B) {
		for range 100 {
			conn, err := pgx.Connect(b.Context(), server.DSNFor("app", "app", "orders"))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { conn.Close(context.Background()) })
			if _, err := conn.Exec(b.Context(), "BEGIN"); err != nil {
				b.Fatal(err)
			}
		}
	}
	gone := func(b *testing.B) {
		eventually(b, "all sessions are gone", func() bool {
			return ask(b, admin, "SELECT count(*)::text FROM pg_stat_activity WHERE usename = 'app'") == "0"
		})
	}
	b.Run("action", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			gone(b)
			sessions(b)
			b.StartTimer()
			s, err := bound.Targets(b.Context())
			if err != nil || len(s.Targets) != 100 {
				b.Fatalf("selects %d, %v", len(s.Targets), err)
			}
			if err := all(b.Context(), bound, s.Targets); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		for range b.N {
			b.StopTimer()
			gone(b)
			sessions(b)
			rows, err := admin.Query(b.Context(), "SELECT pid FROM pg_stat_activity WHERE usename = 'app'")
			if err != nil {
				b.Fatal(err)
			}
			pids, err := pgx.CollectRows(rows, pgx.RowTo[int32])
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			for _, pid := range pids {
				if _, err := admin.Exec(b.Context(), "SELECT pg_terminate_backend($1)", pid); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
