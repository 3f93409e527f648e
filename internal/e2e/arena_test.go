package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/tcp"
)

// arena is what stages have in common.
type arena struct {
	postgres *lab.Postgres
	mesh     bool // the second stage has the cluster
}

func startPostgres(t testing.TB) *lab.Postgres {
	t.Helper()
	postgres, err := lab.StartPostgres(t.Context(), t.TempDir(), lab.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = postgres.Close() })
	return postgres
}

// stage is the nth one. It has a database of its own; the first one has a Temporal
// in a process of its own, so that what dies is the worker alone, or what it can
// not reach is Temporal. One at most has the cluster: a drill begins in systems
// without any other fault.
func (a arena) stage(t testing.TB, n int) *stage {
	t.Helper()
	var temporal string
	var w *wire
	var m *mesh
	database := a.database(t, n)
	connections := fmt.Sprintf("  orders: {postgres: {dsn_file: %s}}\n", dsnFile(t, a.postgres, a.postgres.Address(), database))
	switch {
	case n == 0:
		w, temporal = startCluster(t)
	case n == 1 && a.mesh:
		m = newMesh(t, startMeshCluster(t))
		connections += m.connection()
	}
	s := newStage(t, connections, temporal)
	s.wire, s.mesh = w, m
	s.ways[databaseWay] = newGate(t, func() bool { return a.full(t, database) })
	s.offer(databaseFaults...)
	if m != nil {
		s.ways[meshWay] = newGate(t, m.ruled)
		s.offer(meshFaults...)
	}
	return s
}

const (
	databaseSeats  = 12
	databaseRole   = "shop"
	databaseSecret = "shop-secret"
)

// database makes one that has only so many seats for others than superusers.
func (a arena) database(t testing.TB, n int) string {
	t.Helper()
	name := fmt.Sprint("stage", n)
	for _, sql := range []string{
		fmt.Sprintf("CREATE DATABASE %s CONNECTION LIMIT %d", name, databaseSeats),
		fmt.Sprintf("DO $$BEGIN CREATE ROLE %s LOGIN PASSWORD '%s'; EXCEPTION WHEN duplicate_object OR unique_violation THEN END$$", databaseRole, databaseSecret),
	} {
		if err := a.postgres.Exec(t.Context(), "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
	return name
}

// dsnFile is how the engine gets into a database, at the address of the server or
// of what stands before it.
func dsnFile(t testing.TB, postgres *lab.Postgres, address, database string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "dsn")
	dsn := strings.Replace(postgres.DSN(), postgres.Address()+"/postgres?", address+"/"+database+"?", 1)
	if err := os.WriteFile(file, []byte(dsn), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// full: there is no seat in the database.
func (a arena) full(t testing.TB, database string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), hangs)
	defer cancel()
	conn, err := pgx.Connect(ctx, a.postgres.DSNFor(databaseRole, databaseSecret, database))
	if err == nil {
		err = conn.Close(ctx)
	}
	return err != nil
}

// newGate is a way to what is not in this process: who comes is asked to wait for
// ever while it is blocked.
func newGate(t testing.TB, blocked func() bool) (address string) {
	t.Helper()
	return tcp.Serve(t, func(conn net.Conn) { pass(conn, blocked()) })
}

func pass(conn net.Conn, blocked bool) {
	defer conn.Close()
	to := io.Writer(conn)
	if blocked {
		to = io.Discard
	}
	_, _ = io.Copy(to, conn)
}
