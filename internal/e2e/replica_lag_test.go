//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
)

// laggard is a pair of which the standby waits for a statement that runs on it,
// and an engine that has the shipped runbook for that.
type laggard struct {
	t      *testing.T
	pair   *lab.PostgresPair
	host   *host
	report chan error // how the statement ended
}

func newLaggard(t *testing.T) *laggard {
	t.Helper()
	pair, err := lab.StartPostgresPair(t.Context(), t.TempDir(), lab.PostgresPairOptions{
		Settings: map[string]string{"max_standby_streaming_delay": "-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	l := &laggard{t: t, pair: pair, report: make(chan error, 1)}
	l.primary("CREATE ROLE engine LOGIN PASSWORD '"+canary+"' IN ROLE pg_read_all_stats, pg_signal_backend",
		"CREATE ROLE reporter LOGIN PASSWORD 'r'",
		"CREATE TABLE held AS SELECT 1 AS one", "GRANT SELECT ON held TO reporter")
	l.host = newHost(t, l.connection(), shipped(t, "replica-lag.yaml", map[string]string{
		"default: 1m": "default: 1s", "lag_seconds >= 10": "lag_seconds >= 1", "hold: 10s": "hold: 1s",
	})).start()
	return l
}

func (l *laggard) primary(statements ...string) {
	l.t.Helper()
	for _, statement := range statements {
		if err := l.pair.Primary.Exec(l.t.Context(), "postgres", statement); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *laggard) connection() string {
	l.t.Helper()
	address, port, _ := net.SplitHostPort(l.pair.Standby.Address())
	password := secretFile(l.t, l.t.TempDir(), "password", canary)
	people := startAlertmanager(l.t, lab.AlertmanagerOptions{})
	return fmt.Sprintf("connections:\n  orders-b: {postgres: {host: %s, port: %s, user: engine, password_file: %s, database: postgres, sslmode: disable}}\n"+
		"  people: {alertmanager: {url: '%s'}}\nalertmanagers: [people]\n", address, port, password, people.URL)
}

// standbyIs waits until a condition is true there.
func (l *laggard) standbyIs(what, condition string) {
	l.t.Helper()
	eventually(l.t, time.Minute, what, func() error {
		return l.pair.Standby.Exec(l.t.Context(), "postgres", "DO $$ BEGIN IF NOT ("+condition+") THEN RAISE 'not yet'; END IF; END $$")
	})
}

// lags has a report hold up the replay of a lock, for more than the runbook bears.
func (l *laggard) lags() {
	l.t.Helper()
	l.standbyIs("the table to be there", "to_regclass('held') IS NOT NULL")
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	conn, err := pgx.Connect(ctx, l.pair.Standby.DSNFor("reporter", "r", "postgres"))
	if err != nil {
		l.t.Fatal(err)
	}
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(600) FROM held")
		l.report <- err
	}()
	l.standbyIs("the report to run", "EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'reporter' AND wait_event = 'PgSleep')")
	l.primary("TRUNCATE held")
	l.standbyIs("it to lag", "clock_timestamp() - pg_last_xact_replay_timestamp() > '2s' AND pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() "+
		"AND EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'reporter' AND clock_timestamp() - state_change > '2s')")
}

// answered is how the runs ended, the newest first, once there are n.
func (l *laggard) answered(n int) []run.Outcome {
	l.t.Helper()
	l.host.deliver(map[string]string{"alertname": "PostgresReplicaLag", "severity": "warning", "standby": "orders-b"})
	var outcomes []run.Outcome
	for _, row := range l.host.ended(2*time.Minute, n) {
		outcomes = append(outcomes, row.Outcome)
	}
	return outcomes
}

// A statement holds the replay of a real standby up. While somebody has paused the
// replay it is left alone; otherwise it goes, and the standby catches up.
func TestALaggingStandbyCatchesUp(t *testing.T) {
	t.Parallel()
	l := newLaggard(t)
	l.lags()
	if err := l.pair.Standby.Exec(t.Context(), "postgres", "SELECT pg_wal_replay_pause()"); err != nil {
		t.Fatal(err)
	}
	if outcomes := l.answered(1); outcomes[0] != run.Skipped {
		t.Errorf("with a paused replay the run ended %s", outcomes[0])
	}
	if len(l.report) > 0 {
		t.Errorf("the report was ended although the replay is paused: %v", <-l.report)
	}
	if err := l.pair.Standby.Exec(t.Context(), "postgres", "SELECT pg_wal_replay_resume()"); err != nil {
		t.Fatal(err)
	}
	if outcomes := l.answered(2); outcomes[0] != run.Fixed {
		t.Errorf("the run ended %s", outcomes[0])
	}
	var said *pgconn.PgError
	if err := <-l.report; !errors.As(err, &said) || said.Code != "57014" {
		t.Errorf("the report ended with %v, and not because it was cancelled", err)
	}
	l.standbyIs("the table to be empty there too", "NOT EXISTS (SELECT FROM held)")
}
