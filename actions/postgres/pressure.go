package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
)

type pressureParams struct {
	Database string `json:"database" connection:"postgres" doc:"Connection to the database to look at."`
}

type pressureResult struct {
	Used               int     `json:"used" doc:"Sessions of clients that the server has, in all databases."`
	Max                int     `json:"max" doc:"How many it lets in, without those kept back for superusers."`
	Ratio              float64 `json:"ratio" doc:"used / max."`
	Active             int     `json:"active" doc:"Sessions that run a statement, in this database; the engine's own are in none of these counts."`
	Idle               int     `json:"idle" doc:"Sessions that do nothing, in this database."`
	IdleInTransaction  int     `json:"idle_in_transaction" doc:"Sessions that hold a transaction open and do nothing, in this database."`
	Waiting            int     `json:"waiting" doc:"Sessions that wait for a lock, in this database."`
	LongestTransaction float64 `json:"longest_transaction" doc:"Age of the oldest open transaction in this database, in seconds; 0 when there is none."`
}

const pressureTimeout = 10 * time.Second

func pressure(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[pressureParams, pressureResult]{
		Name:    "postgres.pressure",
		Doc:     "Look at how many connections of a server are in use, what they do, and who waits for locks.",
		Risk:    actions.ReadOnly,
		Example: "{database: orders}",
		Target:  func(p pressureParams) string { return "database/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p pressureParams) (pressureResult, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return pressureResult{}, err
			}
			r, hidden, err := c.pressure(ctx)
			switch {
			case err != nil:
				return pressureResult{}, c.failure(ctx, "look at the sessions of", err)
			case hidden > 0:
				return pressureResult{}, c.blind(hidden)
			}
			return r, nil
		},
		Timeout: pressureTimeout + 2*connectTimeout,
	})
}

func (c *client) pressure(ctx context.Context) (r pressureResult, hidden int, err error) {
	conn, timeout, err := c.session(ctx, pressureTimeout)
	if err != nil {
		return r, 0, err
	}
	defer conn.Release()
	err = look(ctx, conn.Conn(), timeout, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM pg_stat_activity WHERE coalesce(backend_type, 'client backend') = 'client backend'),
				current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
				count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'idle'),
				count(*) FILTER (WHERE state LIKE 'idle in transaction%'), count(*) FILTER (WHERE wait_event_type = 'Lock'),
				coalesce(extract(epoch FROM clock_timestamp() - min(xact_start)), 0)::float8,
				count(*) FILTER (WHERE state IS NULL)
			FROM pg_stat_activity
			WHERE datname = current_database() AND coalesce(backend_type, 'client backend') = 'client backend' AND application_name <> $1`, ourName).
			Scan(&r.Used, &r.Max, &r.Active, &r.Idle, &r.IdleInTransaction, &r.Waiting, &r.LongestTransaction, &hidden)
	})
	if r.Max > 0 {
		r.Ratio = float64(r.Used) / float64(r.Max)
	}
	return r, hidden, err
}
