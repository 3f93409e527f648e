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

type terminateParams struct {
	Database    string         `json:"database" connection:"postgres" doc:"Connection to the database whose sessions are ended."`
	State       string         `json:"state" enum:"idle in transaction|idle in transaction (aborted)|idle|active" doc:"State that a session must be in, as pg_stat_activity has it."`
	OlderThan   model.Duration `json:"older_than" min:"0s" doc:"How long at least it must have been so." example:"30s"`
	By          string         `json:"by" default:"state" enum:"state|transaction" doc:"What older_than measures: the time in the present state, or since the transaction began."`
	Application string         `json:"application,omitempty" optional:"true" doc:"Only sessions with this application_name."`
	User        string         `json:"user,omitempty" optional:"true" doc:"Only sessions of this role."`
	Superusers  bool           `json:"superusers" default:"false" doc:"Also sessions of superusers, who are otherwise left alone."`
	Blocking    bool           `json:"blocking" default:"false" doc:"Only sessions that others wait for, to get a lock."`
	Limit       int            `json:"limit" default:"20" min:"1" max:"1000" doc:"At most this many sessions, the oldest first."`
}

type terminateResult struct {
	Outcome string `json:"outcome" doc:"ended: the session is gone, through this step or by itself; spared: it was no longer as selected, and was left alone."`
	State   string `json:"state" doc:"State that a spared session was in."`
}

const (
	ended  = "ended"
	spared = "spared"
)

const (
	terminateTimeout = 30 * time.Second
	// endsWithin is how long a session may take to end once it was told to.
	endsWithin = 10 * time.Second
	terminates = 20 // at a time
)

func terminateBackends(conns *actions.Connections) actions.Action {
	t := terminator{conns}
	return actions.Define(actions.Def[terminateParams, terminateResult]{
		Name: "postgres.terminate_backends",
		Doc: "End sessions that hold connections or locks without working. Their transactions are rolled back. " +
			"A session that has gone back to work since it was selected is spared. " +
			"The engine's own sessions, replication and, unless asked for, superusers are left alone.",
		Risk:     actions.Disruptive,
		Example:  "{database: orders, state: idle in transaction, older_than: 30s, limit: 20}",
		Targets:  t.targets,
		Run:      t.run,
		Parallel: terminates,
		Timeout:  terminateTimeout,
	})
}

type terminator struct{ conns *actions.Connections }

func (t terminator) targets(ctx context.Context, p terminateParams) (actions.Selection, error) {
	c, err := database.Get(ctx, t.conns, p.Database)
	if err != nil {
		return actions.Selection{}, err
	}
	return c.choose(ctx, func(b backend) string { return b.id(c.name) }, p)
}

// choose gives the sessions that p selects, if the engine's role may see what all
// of them do.
func (c *client) choose(ctx context.Context, id func(backend) string, p terminateParams) (actions.Selection, error) {
	var s actions.Selection
	var hidden int
	err := c.listing(ctx, func(tx pgx.Tx) (err error) {
		if s.Population, hidden, err = census(ctx, tx, p); err == nil {
			s.Targets, err = find(ctx, tx, id, p)
		}
		return err
	})
	switch {
	case err != nil:
		return actions.Selection{}, c.failure(ctx, "list the sessions of", err)
	case hidden > 0:
		return actions.Selection{}, c.blind(hidden)
	}
	return s, nil
}

// blind says that the engine's role may not see what sessions do.
func (c *client) blind(sessions int) error {
	return actions.Permanent(fmt.Errorf(
		"list the sessions of postgres %q: the engine's role may not see what %d of them do: GRANT pg_read_all_stats to it", c.name, sessions))
}

// listing reads in the session that is there for relief.
func (c *client) listing(ctx context.Context, read func(pgx.Tx) error) error {
	conn, err := c.control.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return look(ctx, conn.Conn(), terminateTimeout, read)
}

func (t terminator) run(ctx context.Context, _ actions.Key, target actions.Target, p terminateParams) (terminateResult, error) {
	c, err := database.Get(ctx, t.conns, p.Database)
	if err != nil {
		return terminateResult{}, err
	}
	b, err := parseID(target.ID, "backend", c.name)
	if err != nil {
		return terminateResult{}, actions.Permanent(err)
	}
	r, err := c.terminate(ctx, b, wanted, p.named())
	return r, c.refused(ctx, fmt.Sprintf("end session %d of", b.pid), err)
}

// refused names the role that is missing.
func (c *client) refused(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if err = c.failure(ctx, what, err); hasCode(err, insufficientPrivilege) {
		return actions.Permanent(fmt.Errorf("%w; GRANT pg_signal_backend to the engine's role (only a superuser may end the sessions of superusers)", err))
	}
	return err
}

// terminate checks and acts in one statement, so that as little as possible can
// happen in between.
func (c *client) terminate(ctx context.Context, b backend, wanted string, arguments pgx.NamedArgs) (terminateResult, error) {
	arguments["pid"], arguments["start"] = b.pid, b.start
	told, err := c.control.Exec(ctx, `
		SELECT pg_terminate_backend(pid) FROM (`+sessions+` AND a.pid = @pid AND a.backend_start = @start) s WHERE `+wanted, arguments)
	if err != nil {
		return terminateResult{}, err
	}
	if told.RowsAffected() > 0 {
		return terminateResult{Outcome: ended}, c.awaitEnd(ctx, b)
	}
	state, err := c.stateOf(ctx, b)
	if errors.Is(err, pgx.ErrNoRows) {
		return terminateResult{Outcome: ended}, nil
	}
	return terminateResult{Outcome: spared, State: state}, err
}

// stateOf is the state of a session, or pgx.ErrNoRows when it is gone.
func (c *client) stateOf(ctx context.Context, b backend) (state string, err error) {
	err = c.control.QueryRow(ctx,
		"SELECT coalesce(state, 'unknown') FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2", b.pid, b.start).Scan(&state)
	return state, err
}

func (c *client) awaitEnd(ctx context.Context, b backend) error {
	return until(ctx, func() (bool, error) {
		_, err := c.stateOf(ctx, b)
		if errors.Is(err, pgx.ErrNoRows) {
			return true, nil
		}
		return false, err
	})
}
