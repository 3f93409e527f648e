package mysql

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type queryParams struct {
	Database string         `json:"database" connection:"mysql" doc:"Connection to the server to ask."`
	Query    string         `json:"query" min:"1" doc:"One statement that reads. Values belong into args." example:"SELECT count(*) FROM orders WHERE state = ?"`
	Args     []any          `json:"args,omitempty" optional:"true" doc:"Values of the question marks."`
	Limit    int            `json:"limit" default:"100" min:"1" max:"1000" doc:"At most this many rows."`
	Timeout  model.Duration `json:"timeout" default:"10s" min:"10ms" max:"10m" doc:"How long the statement may run."`
}

type queryResult struct {
	Value     *float64         `json:"value" doc:"The first column, when there is one row and it is a number there; otherwise null, with which no comparison is true."`
	Rows      []map[string]any `json:"rows" doc:"Rows by column: numbers, JSON and nulls as such, everything else as text."`
	Count     int              `json:"count" doc:"Number of rows given, at most limit."`
	Truncated bool             `json:"truncated" doc:"True when there were more rows."`
}

func query(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[queryParams, queryResult]{
		Name: "mysql.query",
		Doc: "Ask a server, in a read-only transaction that is rolled back. What a SELECT can do besides reading, such as INTO OUTFILE, " +
			"is refused; give the engine's user neither FILE nor functions with effects.",
		Risk:    actions.ReadOnly,
		Example: "{database: orders, query: 'SELECT count(*) FROM orders WHERE state = ?', args: [open]}",
		Target:  func(p queryParams) string { return "database/" + p.Database },
		Limit:   func(p queryParams) time.Duration { return time.Duration(p.Timeout) + 2*connectWithin },
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

var (
	reads = regexp.MustCompile(`(?is)^\s*\(*\s*(select|with|values|show|explain|describe)\b`)
	// writes to files, or keeps a lock after the transaction. Both may stand in a
	// comment that the server runs, so that the whole text is looked at.
	reaches = regexp.MustCompile(`(?is)\binto\s+(outfile|dumpfile)\b|\bget_lock\s*\(|/\*M?!`)
)

func checkReads(statement string) error {
	if !reads.MatchString(statement) {
		return actions.Permanent(fmt.Errorf("the statement must begin with SELECT, WITH, VALUES, SHOW, EXPLAIN or DESCRIBE"))
	}
	if found := reaches.FindString(statement); found != "" {
		return actions.Permanent(fmt.Errorf("the statement has %q, which does more than read", strings.TrimSpace(found)))
	}
	return nil
}

func (c *client) query(ctx context.Context, p queryParams) (r queryResult, err error) {
	if err := checkReads(p.Query); err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Timeout)+connectWithin)
	defer cancel()
	conn, err := c.probes.Conn(ctx)
	if hasNumber(err, tooManyConnections) { // then that for relief, which is there
		conn, err = c.control.Conn(ctx)
	}
	if err != nil {
		return r, err
	}
	defer conn.Close()
	ctx, stop := context.WithTimeout(ctx, time.Duration(p.Timeout))
	defer stop()
	if err := bound(ctx, conn, time.Duration(p.Timeout)); err != nil {
		return r, err
	}
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, err
	}
	defer tx.Rollback()
	rows, err := tx.QueryContext(ctx, p.Query, p.Args...)
	if err != nil {
		return r, err
	}
	defer rows.Close()
	return gather(rows, p.Limit)
}

// bound has the server end the statement: when we stop waiting, it does not know.
func bound(ctx context.Context, conn *sql.Conn, timeout time.Duration) error {
	_, err := conn.ExecContext(ctx, "SET SESSION max_statement_time = ?", timeout.Seconds())
	if hasNumber(err, unknownVariable) { // MySQL
		_, err = conn.ExecContext(ctx, "SET SESSION max_execution_time = ?", timeout.Milliseconds())
	}
	return err
}
