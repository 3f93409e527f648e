package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type queryParams struct {
	Database string         `json:"database" connection:"postgres" doc:"Connection to the database to ask."`
	Query    string         `json:"query" min:"1" doc:"One statement that reads. Values belong into args." example:"SELECT count(*) FROM orders WHERE state = $1"`
	Args     []any          `json:"args,omitempty" optional:"true" doc:"Values of $1, $2 and so on."`
	Limit    int            `json:"limit" default:"100" min:"1" max:"1000" doc:"At most this many rows."`
	Timeout  model.Duration `json:"timeout" default:"10s" min:"10ms" max:"10m" doc:"How long the statement may run on the server."`
}

type queryResult struct {
	Value     *float64         `json:"value" doc:"The first column, when there is one row and it is a number there; otherwise null, with which no comparison is true."`
	Rows      []map[string]any `json:"rows" doc:"Rows by column: numbers, booleans, JSON and nulls as such, everything else as the text that PostgreSQL prints."`
	Count     int              `json:"count" doc:"Number of rows given, at most limit."`
	Truncated bool             `json:"truncated" doc:"True when there were more rows."`
}

// onControl is what a probe may take of the one session that is there for
// relief.
const onControl = 5 * time.Second

func query(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[queryParams, queryResult]{
		Name: "postgres.query",
		Doc: "Ask a database, in a read-only transaction that is rolled back. " +
			"PostgreSQL lets functions with effects outside of tables run there too: give the engine's role no right to those.",
		Risk:    actions.ReadOnly,
		Example: "{database: orders, query: 'SELECT count(*) FROM pg_stat_activity WHERE state = $1', args: [active]}",
		Target:  func(p queryParams) string { return "database/" + p.Database },
		Limit:   func(p queryParams) time.Duration { return time.Duration(p.Timeout) + 2*connectTimeout },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p queryParams) (queryResult, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return queryResult{}, err
			}
			r, err := c.query(ctx, p)
			if err != nil {
				return queryResult{}, c.failure(ctx, "query", err)
			}
			return r, nil
		},
	})
}

func (c *client) query(ctx context.Context, p queryParams) (queryResult, error) {
	if word := firstWord(p.Query); !reading[word] {
		return queryResult{}, actions.Permanent(fmt.Errorf("the statement begins with %q, and must with one of SELECT, WITH, VALUES, TABLE, SHOW, EXPLAIN", word))
	}
	conn, timeout, err := c.session(ctx, time.Duration(p.Timeout))
	if err != nil {
		return queryResult{}, err
	}
	defer conn.Release()
	var r queryResult
	err = look(ctx, conn.Conn(), timeout, func(tx pgx.Tx) (err error) {
		r, err = read(ctx, tx, p)
		return err
	})
	return r, err
}

// session is one for a probe. On a full server that is the one for relief, for a
// short while.
func (c *client) session(ctx context.Context, timeout time.Duration) (*pgxpool.Conn, time.Duration, error) {
	conn, err := c.probes.Acquire(ctx)
	if err == nil || !isFull(err) {
		return conn, timeout, err
	}
	conn, err = c.control.Acquire(ctx)
	return conn, min(timeout, onControl), err
}
