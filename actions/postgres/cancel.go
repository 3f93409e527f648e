package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type cancelParams struct {
	Database    string         `json:"database" connection:"postgres" doc:"Connection to the database whose statements are cancelled."`
	OlderThan   model.Duration `json:"older_than" min:"0s" doc:"How long at least a statement must have been running." example:"5m"`
	Application string         `json:"application,omitempty" optional:"true" doc:"Only sessions with this application_name."`
	User        string         `json:"user,omitempty" optional:"true" doc:"Only sessions of this role."`
	Superusers  bool           `json:"superusers" default:"false" doc:"Also sessions of superusers, who are otherwise left alone."`
	Blocking    bool           `json:"blocking" default:"false" doc:"Only sessions that others wait for, to get a lock."`
	Limit       int            `json:"limit" default:"20" min:"1" max:"1000" doc:"At most this many statements, the oldest first."`
}

type cancelResult struct {
	Outcome string `json:"outcome" doc:"ended: the statement no longer runs, through this step or by itself; spared: it was no longer as selected, and was left alone."`
}

// active selects the sessions whose statements p means.
func (p cancelParams) active() terminateParams {
	return terminateParams{
		State: "active", By: "state", OlderThan: p.OlderThan, Application: p.Application, User: p.User,
		Superusers: p.Superusers, Blocking: p.Blocking, Limit: p.Limit,
	}
}

func cancelBackends(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[cancelParams, cancelResult]{
		Name: "postgres.cancel_backends",
		Doc: "Cancel statements that run for too long. Their sessions stay; a transaction of several statements fails. " +
			"A session that has gone on to another statement since is spared. " +
			"The engine's own sessions, replication and, unless asked for, superusers are left alone.",
		Risk:    actions.Disruptive,
		Example: "{database: orders, older_than: 5m, application: report, limit: 5}",
		Targets: func(ctx context.Context, p cancelParams) (actions.Selection, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return actions.Selection{}, err
			}
			return c.choose(ctx, func(b backend) string { return b.statementID(c.name) }, p.active())
		},
		Run: func(ctx context.Context, _ actions.Key, target actions.Target, p cancelParams) (cancelResult, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return cancelResult{}, err
			}
			b, err := parseID(target.ID, "statement", c.name)
			if err != nil {
				return cancelResult{}, actions.Permanent(err)
			}
			r, err := c.cancel(ctx, b, p.active())
			return r, c.refused(ctx, fmt.Sprintf("cancel the statement of session %d of", b.pid), err)
		},
		Parallel: terminates,
		Timeout:  terminateTimeout,
	})
}

// cancel checks and acts in one statement.
func (c *client) cancel(ctx context.Context, b backend, p terminateParams) (cancelResult, error) {
	arguments := p.named()
	arguments["pid"], arguments["start"], arguments["query"] = b.pid, b.start, b.query
	told, err := c.control.Exec(ctx, `
		SELECT pg_cancel_backend(pid) FROM (`+sessions+` AND a.pid = @pid AND a.backend_start = @start AND a.query_start = @query) s WHERE `+wanted, arguments)
	if err != nil {
		return cancelResult{}, err
	}
	if told.RowsAffected() > 0 {
		return cancelResult{Outcome: ended}, until(ctx, func() (bool, error) { return c.over(ctx, b) })
	}
	over, err := c.over(ctx, b)
	if err != nil || over {
		return cancelResult{Outcome: ended}, err
	}
	return cancelResult{Outcome: spared}, nil
}

// over reports that a statement no longer runs.
func (c *client) over(ctx context.Context, b backend) (bool, error) {
	var one int
	err := c.control.QueryRow(ctx, "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2 AND query_start = $3 AND state = 'active'",
		b.pid, b.start, b.query).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return true, nil
	}
	return false, err
}

// until waits for a session to do as it was told.
func until(ctx context.Context, done func() (bool, error)) error {
	deadline := time.Now().Add(endsWithin)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		over, err := done()
		switch {
		case err != nil || over:
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("it was told to end, and has not after %s; look at its wait_event in pg_stat_activity", endsWithin)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
