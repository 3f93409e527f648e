package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type promoteParams struct {
	Primary   string         `json:"primary" connection:"postgres" doc:"Connection to the primary that is dead, not to a proxy before it." example:"orders-a"`
	Standbys  []string       `json:"standbys" min:"1" max:"16" doc:"Connections to all of its standbys. That which has most is promoted." example:"[orders-b]"`
	Fenced    bool           `json:"fenced" doc:"That the old primary can take no write any more, as the outcome of the step before that saw to it. Nothing is promoted otherwise." example:"${steps.fence.outcome == \"done\"}"`
	MaxLag    int64          `json:"max_lag" default:"0" min:"0" doc:"How many bytes of the old primary's log may be given up: of those that a standby heard of, or that position tells."`
	Position  int64          `json:"position" default:"0" min:"0" doc:"Where the old primary's log is known to have been at least, in bytes, such as by monitoring; 0 is not known."`
	Missing   int            `json:"missing" default:"0" min:"0" max:"15" doc:"How many of the standbys need not answer. One that does not may have had more than the others."`
	Heartbeat model.Duration `json:"heartbeat" default:"3s" min:"100ms" max:"1m" doc:"How long a server may take to answer, and for how long no standby may have heard from the old primary."`
	Within    model.Duration `json:"within" default:"30s" min:"1s" max:"10m" doc:"How long the promotion may take."`
}

type promoteResult struct {
	Promoted   string   `json:"promoted" doc:"Connection to the new primary."`
	Timeline   int      `json:"timeline" doc:"Its timeline."`
	Lag        *int64   `json:"lag" doc:"What it lacked of what the old primary is known to have had, in bytes; null when it had been promoted before."`
	Rewindable bool     `json:"rewindable" doc:"True when pg_rewind can make a standby of the old primary: the servers have wal_log_hints or checksums. Otherwise it needs a new copy."`
	Rewind     []string `json:"rewind" doc:"The command for that, on the old primary's machine, once its server has stopped in order. PGPASSWORD or a password file has the password."`
}

func (f failover) promote() actions.Action {
	return actions.Define(actions.Def[promoteParams, promoteResult]{
		Name: "postgres.promote",
		Doc: "Make a primary of the standby that has most, after the old primary was fenced. Refuses while the old one answers, while a standby hears from it, " +
			"and when more than max_lag would be lost. Where replication is asynchronous, writes that no standby heard of are lost besides. " +
			"The engine's role needs GRANT EXECUTE ON FUNCTION pg_promote.",
		Risk:    actions.Disruptive,
		Example: "{primary: orders-a, standbys: [orders-b], fenced: true, max_lag: 0}",
		Targets: f.toPromote,
		Run:     f.run,
		Limit: func(p promoteParams) time.Duration {
			return time.Duration(p.Within) + 4*time.Duration(p.Heartbeat) + 5*time.Second
		},
	})
}

func (f failover) toPromote(ctx context.Context, p promoteParams) (actions.Selection, error) {
	c, err := f.chosen(ctx, p)
	if errors.Is(err, errNobody) {
		return actions.Selection{Population: len(p.Standbys)}, nil
	}
	if err != nil {
		return actions.Selection{}, fmt.Errorf("choose a standby of %q: %w", p.Primary, err)
	}
	doc := fmt.Sprintf("lacks %d bytes of what %s is known to have had", c.lag, p.Primary)
	if !c.standby {
		doc = "promoted already"
	}
	return actions.Selection{Targets: []actions.Target{{ID: "standby/" + c.Name, Doc: doc}}, Population: len(p.Standbys), Name: "standby/" + p.Primary}, nil
}

func (f failover) chosen(ctx context.Context, p promoteParams) (choice, error) {
	all, err := f.candidates(ctx, p)
	if err != nil {
		return choice{}, err
	}
	return choose(all, p)
}

// promote looks at everything again: what was true when the target was chosen
// need not be any more.
func (f failover) run(ctx context.Context, _ actions.Key, target actions.Target, p promoteParams) (promoteResult, error) {
	name, ours := strings.CutPrefix(target.ID, "standby/")
	if !ours || name == "" {
		return promoteResult{}, actions.Permanent(fmt.Errorf("promote %q: it names no standby", target.ID))
	}
	r, err := f.promoteOne(ctx, name, p)
	if err != nil {
		return promoteResult{}, fmt.Errorf("promote %q in place of %q: %w", name, p.Primary, err)
	}
	return r, nil
}

func (f failover) promoteOne(ctx context.Context, name string, p promoteParams) (promoteResult, error) {
	if !p.Fenced {
		return promoteResult{}, actions.Permanent(errors.New("the old primary is not fenced; fence it first, or there may be two"))
	}
	if err := f.gone(ctx, p); err != nil {
		return promoteResult{}, err
	}
	all, err := f.candidates(ctx, p)
	if err != nil {
		return promoteResult{}, err
	}
	c, err := choose(all, p)
	switch {
	case err != nil:
		return promoteResult{}, err
	case c.Name != name:
		return promoteResult{}, actions.Permanent(fmt.Errorf("%q is to be promoted, not this one: choose again", c.Name))
	case !c.standby:
		return c.promotedNow(ctx, time.Duration(p.Heartbeat), nil)
	}
	if err := errors.Join(unheard(all, p), c.fit(p)); err != nil {
		return promoteResult{}, actions.Permanent(err)
	}
	if err := c.become(ctx, p); err != nil {
		return promoteResult{}, c.Failure(ctx, "promote", err)
	}
	return c.promotedNow(ctx, time.Duration(p.Heartbeat), &c.lag)
}

// gone wants the old primary not to answer, or to be a standby. It was found dead
// and fenced before; one short look finds a fence that does not hold.
func (f failover) gone(ctx context.Context, p promoteParams) error {
	old, err := f.open(ctx, p.Primary)
	if err != nil {
		return err
	}
	s, err := old.stand(ctx, time.Duration(p.Heartbeat)/looks)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && s.standby:
		return nil
	case err == nil, answered(err):
		return actions.Permanent(fmt.Errorf("%q answers: it is not dead, or its fence does not hold", p.Primary))
	case actions.ClassOf(err) == actions.ClassPermanent:
		return old.Failure(ctx, "look at the primary", err)
	}
	return nil
}

// unheard wants no standby to hear from the old primary.
func unheard(all []candidate, p promoteParams) error {
	for _, c := range all {
		if c.err == nil && c.streams && c.heard < time.Duration(p.Heartbeat) {
			return fmt.Errorf("standby %q heard from %q %s ago: it is not dead, or its fence does not hold", c.Name, p.Primary, short(c.heard))
		}
	}
	return nil
}

// become promotes; it is no error when that happened already.
func (c Server) become(ctx context.Context, p promoteParams) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Within))
	defer cancel()
	conn, err := c.Connect(ctx)
	if err != nil {
		return err
	}
	defer leave(ctx, conn)
	if _, err := conn.Exec(ctx, "SELECT pg_promote(wait => false) WHERE pg_is_in_recovery()"); err != nil {
		return err
	}
	for standby := true; ; {
		if err := conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby); err != nil || !standby {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("it is still a standby after %s, because it replays what it has, or waits for something: look at its log: %w", p.Within, ctx.Err())
		}
	}
}

func (c Server) promotedNow(ctx context.Context, within time.Duration, lag *int64) (promoteResult, error) {
	r := promoteResult{Promoted: c.Name, Lag: lag}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := c.Connect(ctx)
	if err != nil {
		return promoteResult{}, c.Failure(ctx, "look at the new primary", err)
	}
	defer leave(ctx, conn)
	err = conn.QueryRow(ctx, `
		SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
			current_setting('wal_log_hints')::bool OR current_setting('data_checksums')::bool`).Scan(&r.Timeline, &r.Rewindable)
	if err != nil {
		return promoteResult{}, c.Failure(ctx, "look at the new primary", err)
	}
	r.Rewind = []string{"pg_rewind", "--target-pgdata=THE OLD PRIMARY'S DATA DIRECTORY", "--write-recovery-conf", "--restore-target-wal",
		fmt.Sprintf("--source-server=host=%s port=%d user=A-ROLE-THAT-MAY-REWIND dbname=postgres", c.Host, c.Port)}
	return r, nil
}
