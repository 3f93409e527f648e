package postgres_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/internal/lab"
)

// quick are the settings of servers that notice soon.
var quick = map[string]string{"wal_receiver_timeout": "1s", "wal_retrieve_retry_interval": "100ms", "wal_log_hints": "on"}

// startPair is a primary and its standby, with a role engine that may do what a
// failover needs, and the table of the writer.
func startPair(t testing.TB, options lab.PostgresPairOptions) *lab.PostgresPair {
	t.Helper()
	if options.Settings == nil {
		options.Settings = quick
	}
	pair, err := lab.StartPostgresPair(t.Context(), t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pair.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, statement := range []string{
		"CREATE ROLE engine LOGIN PASSWORD '" + password + "' IN ROLE pg_read_all_stats, pg_signal_backend",
		"GRANT EXECUTE ON FUNCTION pg_promote TO engine",
		"CREATE TABLE written (number bigint PRIMARY KEY)",
		"CREATE TABLE runbook_proof (key text PRIMARY KEY, written timestamptz NOT NULL DEFAULT now())",
		"GRANT ALL ON runbook_proof, written TO engine",
	} {
		execute(t, pair.Primary, "postgres", statement)
	}
	eventually(t, "the standby has the roles", func() bool {
		return pair.Standby.Exec(t.Context(), "postgres", "SELECT 'engine'::regrole, 'runbook_proof'::regclass") == nil
	})
	return pair
}

// at is a connection in the role engine to the database postgres.
func at(t testing.TB, name, address string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("%s: {postgres: {host: %s, port: %s, user: engine, password_file: %s, database: postgres, sslmode: disable}}\n",
		name, host, port, secretFile(t, password))
}

// both are the servers of a pair as the engine reaches them.
func both(t testing.TB, pair *lab.PostgresPair) *actions.Catalog {
	t.Helper()
	return open(t, at(t, "a", pair.Engine.Address())+at(t, "b", pair.Standby.Address()))
}

func run(t testing.TB, catalog *actions.Catalog, action, params string) (map[string]any, error) {
	t.Helper()
	b := bind(t, catalog, action, params)
	s, err := b.Targets(t.Context())
	if err != nil || len(s.Targets) == 0 {
		return nil, fmt.Errorf("no target: %w", err)
	}
	raw, err := b.Run(t.Context(), "key", s.Targets[0])
	var result map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &result)
	}
	return result, err
}

func streamsNoMore(t testing.TB, standby *lab.Postgres) {
	t.Helper()
	conn := connect(t, standby.DSN())
	eventually(t, "the standby streams no more", func() bool {
		return ask(t, conn, "SELECT count(*)::text FROM pg_stat_wal_receiver WHERE status = 'streaming'") == "0"
	})
}

func closed(t testing.TB) string {
	t.Helper()
	address, err := lab.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

const suspect = "{primary: a, standbys: [b], heartbeat: 200ms, misses: 2, within: 8s}"

// Each way to die is seen, from both places.
func TestADeadPrimaryIsFound(t *testing.T) {
	t.Parallel()
	for name, kill := range map[string]func(*lab.PostgresPair) error{
		"killed":        func(p *lab.PostgresPair) error { return p.Primary.Kill() },
		"stopped":       func(p *lab.PostgresPair) error { return lab.Signal(p.Primary.PID(), syscall.SIGSTOP) },
		"cut off":       func(p *lab.PostgresPair) error { p.BlackHole(); return nil },
		"shut in order": func(p *lab.PostgresPair) error { return p.Primary.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := startPair(t, lab.PostgresPairOptions{})
			catalog := both(t, pair)
			if r, err := run(t, catalog, "postgres.primary_dead", suspect); err != nil || r["dead"] != false {
				t.Errorf("before, it gives %v, %v", r, err)
			}
			if err := kill(pair); err != nil {
				t.Fatal(err)
			}
			if r, err := run(t, catalog, "postgres.primary_dead", strings.Replace(suspect, "8s", "30s", 1)); err != nil || r["dead"] != true {
				t.Errorf("then it gives %v, %v", r, err)
			}
		})
	}
}

// A primary is not dead because somebody can not see it.
func TestALivingPrimaryIsNotFoundDead(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	var status atomic.Int32
	witness := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	t.Cleanup(witness.Close)
	near, nowhere := pair.Engine.Address(), closed(t)
	witnessed := func(standby string) string {
		return "{primary: a, standbys: [" + standby + "], witnesses: ['" + witness.URL + "/x?token=" + password + "'], heartbeat: 1s, misses: 2, within: 6s}"
	}
	for _, c := range []struct {
		name, a, b string
		witness    int
		params     string
		dead       bool
	}{
		{"only the engine is cut off", nowhere, pair.Standby.Address(), 200, "{primary: a, standbys: [b], heartbeat: 1s, misses: 2, within: 6s}", false},
		{"the engine is cut off from all", nowhere, nowhere, 200, "{primary: a, standbys: [b], heartbeat: 1s, misses: 2, within: 6s}", false},
		{"the standby lives, the witness errs", nowhere, pair.Standby.Address(), 503, witnessed("b"), false},
		{"the witness sees it alive, nobody else anything", nowhere, nowhere, 200, witnessed("b"), false},
		{"the witness sees it dead, one of three is missing", nowhere, nowhere, 503, witnessed("b"), true},
		{"the witness does not know", nowhere, nowhere, 500, witnessed("b"), false},
		{"a connection to a standby leads to the primary", nowhere, pair.Primary.Address(), 200, "{primary: a, standbys: [b], heartbeat: 1s, misses: 2, within: 6s}", false},
		{"it answers", near, nowhere, 503, witnessed("b"), false},
	} {
		status.Store(int32(c.witness))
		r, err := run(t, open(t, at(t, "a", c.a)+at(t, "b", c.b)), "postgres.primary_dead", c.params)
		if err != nil || r["dead"] != c.dead {
			t.Errorf("%s: it gives %v, %v", c.name, r, err)
		}
		if text := fmt.Sprint(r, err); strings.Contains(text, password) {
			t.Errorf("%s: a secret shows in %s", c.name, text)
		}
	}
}

// One that is overloaded keeps its standby informed, however late it answers us.
func TestASlowPrimaryIsNotDead(t *testing.T) {
	t.Parallel()
	// A standby that lost its connection, because a machine is busy, would not get in any more.
	pair := startPair(t, lab.PostgresPairOptions{Settings: map[string]string{"wal_receiver_timeout": "3s"}})
	// The postmaster alone is stopped: nobody new gets in, those inside work on.
	if err := syscall.Kill(pair.Primary.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r, err := run(t, both(t, pair), "postgres.primary_dead", strings.Replace(suspect, "8s", "6s", 1))
	if err != nil || r["dead"] != false {
		t.Errorf("it gives %v, %v", r, err)
	}
}

// A standby whose replication broke long ago has no say.
func TestAStandbyThatDoesNotFollowHasNoSay(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	execute(t, pair.Standby, "postgres", "ALTER SYSTEM SET primary_conninfo = ''")
	execute(t, pair.Standby, "postgres", "SELECT pg_reload_conf()")
	streamsNoMore(t, pair.Standby)
	catalog := open(t, at(t, "a", closed(t))+at(t, "b", pair.Standby.Address()))
	params := "{primary: a, standbys: [b], heartbeat: 200ms, misses: 2, within: 4s, recent: 1s}"
	eventually(t, "its last commit is older than a second", func() bool {
		return pair.Standby.Exec(t.Context(), "postgres", "SELECT 1/(clock_timestamp() - pg_last_xact_replay_timestamp() > interval '2s')::int") == nil
	})
	if r, err := run(t, catalog, "postgres.primary_dead", params); err != nil || r["dead"] != false {
		t.Errorf("it gives %v, %v", r, err)
	}
}

func TestPrimaryDeadConforms(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.primary_dead",
		Connections: func(address string) string { return at(t, "a", address) + at(t, "b", pair.Standby.Address()) },
		Address:     pair.Engine.Address(),
		Secrets:     []string{password},
		Params:      suspect,
		Measured:    []string{"vantages", "took"},
	})
}

const takeOver = "{primary: a, standbys: [b], fenced: true, heartbeat: 500ms}"

func TestPromoteConforms(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	if err := pair.Primary.Kill(); err != nil {
		t.Fatal(err)
	}
	nowhere := closed(t)
	conformance.Run(t, conformance.Case{
		System: postgres.System,
		Action: "postgres.promote",
		Connections: func(address string) string {
			return at(t, "a", nowhere) + at(t, "b", address) + at(t, "nobody", nowhere)
		},
		Address: pair.Standby.Address(),
		Secrets: []string{password},
		Params:  takeOver,
		Nothing: "{primary: a, standbys: [nobody], missing: 1, fenced: true}",
		Arrange: func(t *testing.T) {
			if err := pair.Standby.Demote(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		State: func(t *testing.T) string {
			return ask(t, connect(t, pair.Standby.DSN()), "SELECT pg_is_in_recovery()::text")
		},
		Measured: []string{"lag"},
	})
}

func TestPromoteRefuses(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	catalog, blind := both(t, pair), open(t, at(t, "a", closed(t))+at(t, "b", pair.Standby.Address())+at(t, "c", closed(t)))
	for _, c := range []struct {
		name    string
		catalog *actions.Catalog
		params  string
		class   actions.Class
		says    string
	}{
		{"without a fence", catalog, strings.Replace(takeOver, "true", "false", 1), actions.ClassPermanent, "not fenced"},
		{"while the old one answers", catalog, strings.Replace(takeOver, "500ms", "30s", 1), actions.ClassPermanent, `"a" answers`},
		{"while the standby hears from it", blind, takeOver, actions.ClassPermanent, `standby "b" heard from "a"`},
		{"while a standby is missing", blind, strings.Replace(takeOver, "[b]", "[b, c]", 1), actions.ClassTransient, `"c"`},
		{"the same server twice", blind, strings.Replace(takeOver, "[b]", "[b, b]", 1), actions.ClassPermanent, "name each server once"},
	} {
		_, err := run(t, c.catalog, "postgres.promote", c.params)
		t.Log(c.name)
		fails(t, err, c.class, c.says)
	}
	if err := pair.Primary.Kill(); err != nil {
		t.Fatal(err)
	}
	streamsNoMore(t, pair.Standby)
	_, err := run(t, catalog, "postgres.promote", strings.Replace(takeOver, "fenced", "position: 1000000000000, max_lag: 5, fenced", 1))
	fails(t, err, actions.ClassPermanent, "max_lag is 5")
	execute(t, pair.Standby, "postgres", "SELECT pg_wal_replay_pause()")
	_, err = run(t, catalog, "postgres.promote", takeOver)
	fails(t, err, actions.ClassPermanent, "replay is paused")
	execute(t, pair.Standby, "postgres", "SELECT pg_wal_replay_resume()")
	if standby := ask(t, connect(t, pair.Standby.DSN()), "SELECT pg_is_in_recovery()::text"); standby != "true" {
		t.Fatal("it was promoted after all")
	}
	r, err := run(t, catalog, "postgres.promote", takeOver)
	if err != nil || r["promoted"] != "b" || r["lag"] != 0.0 || r["rewindable"] != true || r["timeline"] != 2.0 {
		t.Errorf("in the end it gives %v, %v", r, err)
	}
}

// The standby that has most takes over, whatever the order.
func TestTheMostAdvancedStandbyIsPromoted(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	second, err := lab.StartStandby(t.Context(), filepath.Join(t.TempDir(), "second"), pair.Primary, pair.Primary.Address(), "second", quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	pair.Replication.Cut()
	execute(t, pair.Primary, "postgres", "INSERT INTO written SELECT generate_series(1, 1000)")
	eventually(t, "the second has it", func() bool {
		return ask(t, connect(t, second.DSN()), "SELECT count(*)::text FROM written") == "1000"
	})
	if err := pair.Primary.Kill(); err != nil {
		t.Fatal(err)
	}
	catalog := open(t, at(t, "a", pair.Engine.Address())+at(t, "b", pair.Standby.Address())+at(t, "c", second.Address()))
	streamsNoMore(t, pair.Standby)
	params := "{primary: a, standbys: [b, c], fenced: true, heartbeat: 2s}"
	if s, err := bind(t, catalog, "postgres.promote", params).Targets(t.Context()); err != nil || s.Name != "standby/a" || s.Population != 2 {
		t.Errorf("it selects of %q: %+v, %v", s.Name, s, err)
	}
	r, err := run(t, catalog, "postgres.promote", params)
	if err != nil || r["promoted"] != "c" {
		t.Fatalf("it gives %v, %v", r, err)
	}
	// Begun again, it is the same one; and with two, nobody chooses.
	if r, err = run(t, catalog, "postgres.promote", params); err != nil || r["promoted"] != "c" {
		t.Errorf("again it gives %v, %v", r, err)
	}
	execute(t, pair.Standby, "postgres", "SELECT pg_promote()")
	_, err = run(t, catalog, "postgres.promote", params)
	fails(t, err, actions.ClassPermanent, "both accept writes")
}

func TestProveWriteConforms(t *testing.T) {
	t.Parallel()
	server := start(t, lab.PostgresOptions{})
	execute(t, server, "orders", "CREATE TABLE runbook_proof (key text PRIMARY KEY, written timestamptz NOT NULL DEFAULT now()); GRANT ALL ON runbook_proof TO engine")
	watcher := connect(t, server.DSNFor("app", "app", "orders"))
	execute(t, server, "orders", "GRANT SELECT ON runbook_proof TO app")
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.prove_write",
		Connections: asEngine(secretFile(t, password)),
		Address:     server.Address(),
		Secrets:     []string{password},
		Params:      "{database: orders}",
		State: func(t *testing.T) string {
			return ask(t, watcher, "SELECT coalesce(string_agg(key, ' ' ORDER BY key), '') FROM runbook_proof")
		},
	})
	execute(t, server, "orders", "DROP TABLE runbook_proof")
	_, err := run(t, engine(t, server), "postgres.prove_write", "{database: orders}")
	fails(t, err, actions.ClassPermanent, "CREATE TABLE")
}

// What hangs because the other standby is gone is no proof.
func TestAWriteThatNobodyConfirmsIsNoProof(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{Synchronous: true})
	catalog := both(t, pair)
	if _, err := run(t, catalog, "postgres.prove_write", "{database: a}"); err != nil {
		t.Fatal(err)
	}
	_, err := run(t, catalog, "postgres.prove_write", "{database: b}")
	fails(t, err, actions.ClassPermanent, "read-only transaction")
	if err := pair.Standby.Kill(); err != nil {
		t.Fatal(err)
	}
	b := bind(t, catalog, "postgres.prove_write", "{database: a, timeout: 500ms}")
	for range 2 { // the row of the first is there, and nobody has confirmed it
		_, err = b.Run(t.Context(), "another", *b.OnlyTarget())
		fails(t, err, actions.ClassTransient, "synchronous_standby_names")
	}
}

func TestReplicationConforms(t *testing.T) {
	t.Parallel()
	pair := startPair(t, lab.PostgresPairOptions{})
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.replication",
		Connections: func(address string) string { return at(t, "a", address) },
		Address:     pair.Engine.Address(),
		Secrets:     []string{password},
		Params:      "{database: a}",
		Measured:    []string{"lag_bytes", "lag_seconds", "standbys"},
	})
	catalog := both(t, pair)
	if r, err := run(t, catalog, "postgres.replication", "{database: a}"); err != nil || r["role"] != "primary" || r["connected"] != 1.0 {
		t.Errorf("the primary gives %v, %v", r, err)
	}
	if r, err := run(t, catalog, "postgres.replication", "{database: b}"); err != nil || r["role"] != "standby" || r["connected"] != 1.0 {
		t.Errorf("the standby gives %v, %v", r, err)
	}
	execute(t, pair.Standby, "postgres", "SELECT pg_wal_replay_pause()")
	execute(t, pair.Primary, "postgres", "INSERT INTO written SELECT generate_series(1, 1000)")
	for _, database := range []string{"a", "b"} {
		eventually(t, "the lag shows at "+database, func() bool {
			r, err := run(t, catalog, "postgres.replication", "{database: "+database+"}")
			lag, _ := r["lag_bytes"].(float64)
			return err == nil && lag > 10000
		})
	}
	execute(t, pair.Standby, "postgres", "SELECT pg_wal_replay_resume()")
	if err := pair.Standby.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody streams, and there is no lag to tell", func() bool {
		r, err := run(t, catalog, "postgres.replication", "{database: a}")
		return err == nil && r["connected"] == 0.0 && r["lag_bytes"] == nil
	})
}
