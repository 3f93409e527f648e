package postgres_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/internal/lab"
)

func TestQueryConforms(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	watcher := connect(t, server.DSNFor("app", "app", "orders"))
	conformance.Run(t, conformance.Case{
		System:      postgres.System,
		Action:      "postgres.query",
		Connections: asEngine(secretFile(t, password)),
		Address:     server.Address(),
		Secrets:     []string{password},
		Params:      "{database: orders, query: SELECT * FROM orders WHERE id < $1 ORDER BY id, args: [3]}",
		Slow:        "{database: orders, query: SELECT pg_sleep(600), timeout: 10m}",
		State: func(t *testing.T) string {
			return ask(t, watcher, "SELECT string_agg(id || state, ' ' ORDER BY id) FROM orders")
		},
	})
}

// quoted is a statement with its arguments as parameters of the action.
func quoted(t *testing.T, sql, rest string) string {
	t.Helper()
	query, err := json.Marshal(sql)
	if err != nil {
		t.Fatal(err)
	}
	return "{database: orders, query: " + string(query) + rest + "}"
}

func TestQueryAnswers(t *testing.T) {
	catalog := engine(t, start(t, lab.PostgresOptions{}))
	for _, test := range []struct{ sql, rest, want string }{
		{"SELECT count(*) FROM orders", "", `{"value":5,"rows":[{"count":5}],"count":1,"truncated":false}`},
		{"SELECT id, state FROM orders WHERE id > $1 AND state = $2 ORDER BY id", ", args: [3, open]",
			`{"value":null,"rows":[{"id":4,"state":"open"},{"id":5,"state":"open"}],"count":2,"truncated":false}`},
		{"SELECT 1 WHERE false", "", `{"value":null,"rows":[],"count":0,"truncated":false}`},
		{"SELECT id FROM orders ORDER BY id", ", limit: 1", `{"value":null,"rows":[{"id":1}],"count":1,"truncated":true}`},
		{"SELECT 0.25::numeric AS a, 1.5::real AS b, 7::smallint AS c, 12345678901 AS d", "", `[{"a":0.25,"b":1.5,"c":7,"d":12345678901}]`},
		{"SELECT true AS yes, NULL AS nothing, '5' AS text, '{\"a\": [1]}'::jsonb AS doc", "",
			`"value":null,"rows":[{"doc":{"a":[1]},"nothing":null,"text":"5","yes":true}]`},
		{"SELECT '2026-01-02 03:04:05+00'::timestamptz AT TIME ZONE 'UTC' AS at, ARRAY[1,2] AS list, interval '90 s' AS i", "",
			`[{"at":"2026-01-02 03:04:05","i":"00:01:30","list":"{1,2}"}]`},
		{"SELECT $1::text AS a, $2::int AS b, $3::float8 AS c, $4::bool AS d, $5::text AS e", `, args: ["x", 2, 2.5, true, null]`,
			`[{"a":"x","b":2,"c":2.5,"d":true,"e":null}]`},
		{"SELECT $1::bigint AS n, $2::timestamptz < now() AS past, $3::interval > '1s' AS long", `, args: ["7", "2020-01-01", "5m"]`,
			`"value":7,"rows":[{"long":true,"n":7,"past":true}]`},
		{"SELECT $1 AS hostile", `, args: ["'; DROP TABLE orders; --"]`, `"rows":[{"hostile":"'; DROP TABLE orders; --"}]`},
		{"/* a /* b */ c */ -- d\n (WITH x AS (SELECT 3 AS n) SELECT n FROM x);", "", `"value":3`},
		{"SHOW transaction_read_only", "", `"rows":[{"transaction_read_only":"on"}]`},
		{"VALUES (1), (2)", "", `"count":2`},
		{"EXPLAIN (FORMAT JSON, COSTS off) SELECT 1", "", `"Node Type":"Result"`},
	} {
		got, err := bind(t, catalog, "postgres.query", quoted(t, test.sql, test.rest)).Run(t.Context(), "key", actions.Target{})
		if err != nil || !strings.Contains(string(got), test.want) {
			t.Errorf("%s gives %s, %v, want %s", test.sql, got, err, test.want)
		}
	}
}

func TestQueryOnlyReads(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	execute(t, server, "orders", "GRANT pg_execute_server_program, pg_write_server_files TO engine; CREATE SEQUENCE s; GRANT ALL ON SEQUENCE s TO engine")
	catalog := engine(t, server)
	for sql, says := range map[string]string{
		"DELETE FROM orders":                      `begins with "DELETE"`,
		"-- SELECT\nDELETE FROM orders":           `begins with "DELETE"`,
		"/* SELECT */ UPDATE orders SET id = 0":   `begins with "UPDATE"`,
		"COPY (SELECT 1) TO PROGRAM 'cat'":        `begins with "COPY"`,
		"BEGIN":                                   `begins with "BEGIN"`,
		"COMMIT":                                  `begins with "COMMIT"`,
		"SET default_transaction_read_only = off": `begins with "SET"`,
		"DO $$BEGIN END$$":                        `begins with "DO"`,
		"CALL x()":                                `begins with "CALL"`,
		"":                                        "too-small",
		"-- nothing":                              `begins with ""`,
		"/* open":                                 `begins with ""`,
		"SELECT 1; DELETE FROM orders":            "multiple commands",
		"SELECT 1; COMMIT; DELETE FROM orders":    "multiple commands",
		"WITH x AS (DELETE FROM orders RETURNING 1) SELECT 1": "read-only transaction",
		"SELECT * INTO copied FROM orders":                    "read-only transaction",
		"EXPLAIN ANALYZE DELETE FROM orders":                  "read-only transaction",
		"SELECT * FROM orders FOR UPDATE":                     "read-only transaction",
		"SELECT nextval('s')":                                 "read-only transaction",
	} {
		a, _ := catalog.Get("postgres.query")
		b, problems := a.Bind([]byte(quoted(t, sql, "")))
		if err := problems.Err(); err != nil {
			fails(t, actions.Permanent(err), actions.ClassPermanent, says)
			continue
		}
		_, err := b.Run(t.Context(), "key", actions.Target{})
		if fails(t, err, actions.ClassPermanent, says); err == nil {
			t.Error(sql)
		}
	}
	if got := ask(t, connect(t, server.DSNFor("app", "app", "orders")), "SELECT count(*)::text FROM orders WHERE id > 0"); got != "5" {
		t.Errorf("%s orders are left", got)
	}
}

func TestQueryLeavesTheSessionAsItWas(t *testing.T) {
	catalog := engine(t, start(t, lab.PostgresOptions{}))
	run := func(sql string) string {
		got, err := bind(t, catalog, "postgres.query", quoted(t, sql, "")).Run(t.Context(), "key", actions.Target{})
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	run("SELECT set_config('statement_timeout', '1', false) AS a, set_config('search_path', 'nowhere', false) AS b, pg_advisory_lock(7)")
	for sql, want := range map[string]string{
		"SHOW search_path": `"$user\", public"`,
		"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'": `"value":0`,
	} {
		if got := run(sql); !strings.Contains(got, strings.Replace(want, `"$`, `\"$`, 1)) {
			t.Errorf("%s gives %s", sql, got)
		}
	}
}

func TestQueryRefusesWhatItCanNotGive(t *testing.T) {
	catalog := engine(t, start(t, lab.PostgresOptions{}))
	for sql, says := range map[string]string{
		"SELECT 1 AS a, 2 AS a":                  `two columns are named "a"`,
		"SELECT 'NaN'::float8 AS x":              `column "x": NaN is no number`,
		"SELECT 'Infinity'::numeric AS x":        `column "x": Infinity is no number`,
		"SELECT repeat('x', 300000) FROM orders": "more than 512 KiB",
		"SELECT nonsense":                        `column "nonsense" does not exist`,
		"SELECT 1/0":                             "division by zero",
		"SELECT * FROM pg_authid":                "permission denied",
		"SELECT $1::int":                         "expected 1 arguments, got 0",
	} {
		_, err := bind(t, catalog, "postgres.query", quoted(t, sql, "")).Run(t.Context(), "key", actions.Target{})
		fails(t, err, actions.ClassPermanent, says)
	}
}

func TestQueryEndsOnTime(t *testing.T) {
	catalog := engine(t, start(t, lab.PostgresOptions{}))
	_, err := bind(t, catalog, "postgres.query", quoted(t, "SELECT pg_sleep(600)", ", timeout: 50ms")).Run(t.Context(), "key", actions.Target{})
	fails(t, err, actions.ClassTransient, "statement timeout")
}

func TestQueryTakesNoMoreThanItsLimit(t *testing.T) {
	catalog := engine(t, start(t, lab.PostgresOptions{}))
	b := bind(t, catalog, "postgres.query", quoted(t, "SELECT generate_series(1, 100000000) AS n, repeat('x', 100) AS x", ", limit: 3, timeout: 1m"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // all of it takes longer
	defer cancel()
	got, err := b.Run(ctx, "key", actions.Target{})
	if err != nil || ctx.Err() != nil || !strings.Contains(string(got), `"count":3,"truncated":true`) {
		t.Errorf("gives %.200s, %v", got, err)
	}
}

// Probes on a busy server share few sessions.
func TestQueryTakesFewSessions(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	catalog := engine(t, server)
	watcher := connect(t, server.DSN())
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := bind(t, catalog, "postgres.query", quoted(t, "SELECT pg_sleep(0.1)", "")).Run(t.Context(), "key", actions.Target{})
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := ask(t, watcher, "SELECT (count(*) <= 5)::text FROM pg_stat_activity WHERE application_name = 'runbook'"); got != "true" {
			t.Error("there are more than 5 sessions")
		}
	}
}
