//go:build unix

package lab_test

import (
	"context"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
	"github.com/runbook-engine/runbook/internal/lab/writer"
)

func startPair(t *testing.T, options lab.PostgresPairOptions) *lab.PostgresPair {
	t.Helper()
	dir := t.TempDir()
	pair, err := lab.StartPostgresPair(t.Context(), dir, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pair.Close(); err != nil {
			t.Error(err)
		}
	})
	return pair
}

func TestAStandbyHasWhatWasAcknowledged(t *testing.T) {
	pair := startPair(t, lab.PostgresPairOptions{Synchronous: true})
	if err := pair.Primary.Exec(t.Context(), "postgres", writer.Table); err != nil {
		t.Fatal(err)
	}
	front, err := proxy.StartHAProxy(t.Context(), t.TempDir(), "orders", []proxy.HAProxyServer{
		{Name: "primary", Address: pair.Clients.Address()},
		{Name: "standby", Address: pair.Standby.Address(), Out: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Kill() })
	w := writer.Start(front.Through(pair.Primary.DSN(), pair.Primary.Address()))
	t.Cleanup(w.Stop)
	written := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		_, err := w.AwaitWrite(ctx, time.Now())
		return err
	}
	if err := written(time.Minute); err != nil {
		t.Fatalf("no write: %v", err)
	}
	for _, fault := range []struct {
		name         string
		inject, heal func()
	}{
		{
			"a stopped primary",
			func() { must(t, lab.Signal(pair.Primary.PID(), syscall.SIGSTOP)) },
			func() { must(t, lab.Signal(pair.Primary.PID(), syscall.SIGCONT)) },
		},
		{"a cut link of the clients", pair.Clients.Cut, pair.Clients.Mend},
	} {
		fault.inject()
		if err := written(2 * time.Second); err == nil {
			t.Errorf("%s: a write was acknowledged", fault.name)
		}
		fault.heal()
		if err := written(time.Minute); err != nil {
			t.Errorf("after %s: no write: %v", fault.name, err)
		}
	}
	must(t, pair.Primary.Kill())
	w.Stop()
	must(t, pair.Standby.Exec(t.Context(), "postgres", "SELECT pg_promote()"))
	has := numbers(t, pair.Standby)
	for _, number := range w.Acknowledged() {
		if !slices.Contains(has, number) {
			t.Errorf("%d was acknowledged, and the standby does not have it", number)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func numbers(t *testing.T, of *lab.Postgres) []int64 {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), of.DSN())
	must(t, err)
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT number FROM written")
	must(t, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	must(t, err)
	return all
}
