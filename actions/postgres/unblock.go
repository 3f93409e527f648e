package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type unblockParams struct {
	Database   string         `json:"database" connection:"postgres" doc:"Connection to the database whose lock queue is relieved."`
	Waiting    model.Duration `json:"waiting" min:"0s" doc:"How long at least somebody in the queue must have waited." example:"10s"`
	Waiters    int            `json:"waiters" default:"1" min:"1" max:"10000" doc:"How many must wait in the queue at least."`
	Superusers bool           `json:"superusers" default:"false" doc:"Also sessions of superusers, who are otherwise left alone."`
	Limit      int            `json:"limit" default:"1" min:"1" max:"100" doc:"At most this many sessions, that with the longest queue first."`
}

// heads are the sessions that hold up others and wait for nobody, with the queue
// behind each.
const heads = `
	WITH RECURSIVE edge AS MATERIALIZED (
		SELECT l.pid AS waiter, b AS blocker, clock_timestamp() - min(l.waitstart) AS waited
		FROM pg_locks l, unnest(pg_blocking_pids(l.pid)) b WHERE NOT l.granted GROUP BY 1, 2
	), queue AS (
		SELECT blocker AS head, waiter, waited FROM edge WHERE blocker NOT IN (SELECT waiter FROM edge)
		UNION
		SELECT q.head, e.waiter, e.waited FROM queue q JOIN edge e ON e.blocker = q.waiter
	)
	SELECT head, count(DISTINCT waiter) AS waiters, max(waited) AS waited FROM queue
	GROUP BY head HAVING count(DISTINCT waiter) >= @waiters AND max(waited) >= @waiting`

const blocks = `backend_type = 'client backend' AND (@superusers OR NOT superuser) AND pid IN (SELECT head FROM (` + heads + `) h)`

func (p unblockParams) named() pgx.NamedArgs {
	return pgx.NamedArgs{
		"ourselves": ourName, "by": "state", "waiting": time.Duration(p.Waiting), "waiters": p.Waiters,
		"superusers": p.Superusers, "limit": p.Limit,
	}
}

func unblock(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[unblockParams, terminateResult]{
		Name: "postgres.unblock",
		Doc: "End the session at the head of a queue for locks: it holds up others and waits for nobody. Its transaction is rolled back. " +
			"A session that no longer holds anybody up is spared. " +
			"The engine's own sessions, workers of the server and, unless asked for, superusers are left alone.",
		Risk:    actions.Disruptive,
		Example: "{database: orders, waiting: 10s, waiters: 5}",
		Targets: func(ctx context.Context, p unblockParams) (actions.Selection, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return actions.Selection{}, err
			}
			s, err := c.blockers(ctx, p)
			if err != nil {
				return actions.Selection{}, c.failure(ctx, "find who holds up others in", err)
			}
			return s, nil
		},
		Run: func(ctx context.Context, _ actions.Key, target actions.Target, p unblockParams) (terminateResult, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return terminateResult{}, err
			}
			b, err := parseID(target.ID, "backend", c.name)
			if err != nil {
				return terminateResult{}, actions.Permanent(err)
			}
			r, err := c.terminate(ctx, b, blocks, p.named())
			return r, c.refused(ctx, fmt.Sprintf("end session %d of", b.pid), err)
		},
		Timeout: terminateTimeout,
	})
}

func (c *client) blockers(ctx context.Context, p unblockParams) (s actions.Selection, err error) {
	err = c.listing(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT s.pid, s.backend_start, coalesce(s.state, 'unknown'), s.application_name, s.usename, h.waiters, h.waited
			FROM (`+sessions+`) s JOIN (`+heads+`) h ON h.head = s.pid
			WHERE backend_type = 'client backend' AND (@superusers OR NOT superuser) ORDER BY h.waiters DESC, h.waited DESC, s.pid LIMIT @limit`, p.named())
		if err != nil {
			return err
		}
		s.Targets, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (actions.Target, error) {
			var b backend
			var state, application, user string
			var waiters int
			var waited time.Duration
			err := row.Scan(&b.pid, &b.start, &state, &application, &user, &waiters, &waited)
			doc := fmt.Sprintf("holds up %d, for %s: %s, %s as %s", waiters, short(&waited), state, application, user)
			return actions.Target{ID: b.id(c.name), Doc: doc}, err
		})
		return err
	})
	return s, err
}
