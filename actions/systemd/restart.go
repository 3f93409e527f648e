package systemd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type restartParams struct {
	Connection string         `json:"connection,omitempty" optional:"true" connection:"systemd" doc:"Connection that allows the unit; the only one when absent."`
	Unit       string         `json:"unit" pattern:"^[A-Za-z0-9_.@:-]+[.](service|socket|target|timer)$" max:"255" doc:"The unit." example:"orders-api.service"`
	Attempts   int            `json:"attempts" default:"5" min:"1" max:"5" doc:"How many times it is started when it does not stay up."`
	Base       model.Duration `json:"base" default:"1s" min:"10ms" max:"1m" doc:"Pause after the first start that failed; it doubles each time."`
	Settle     model.Duration `json:"settle" default:"3s" min:"10ms" max:"5m" doc:"How long it must stay up."`
}

type restartResult struct {
	Invocation string `json:"invocation" doc:"systemd's id of the start that holds."`
	Restarts   int    `json:"restarts" doc:"How many times this call has restarted it; 0 when an earlier attempt had."`
}

func restart(conns *actions.Connections) actions.Action {
	r := restarter{conns}
	return actions.Define(actions.Def[restartParams, restartResult]{
		Name: "systemd.restart",
		Doc: "Restart a unit, and see that it stays up. When it does not, it is restarted after 1, 2, 4 and 8 times the base, five times at " +
			"most. A unit that has been started since it was selected is not restarted again.",
		Risk:    actions.Disruptive,
		Example: "{unit: orders-api.service}",
		Targets: r.targets,
		Run:     r.run,
		Limit:   restartParams.limit,
	})
}

// startWithin is what one start of a unit may take: systemd's own default.
const startWithin = 90 * time.Second

func (p restartParams) limit() time.Duration {
	total := time.Minute
	for i := range p.Attempts {
		total += startWithin + time.Duration(p.Settle) + p.pause(i)
	}
	return total
}

// pause is that after a start that failed, counted from 0.
func (p restartParams) pause(failed int) time.Duration { return time.Duration(p.Base) << failed }

type restarter struct{ conns *actions.Connections }

func (r restarter) get(ctx context.Context, p restartParams) (*client, error) {
	c, err := machine.Get(ctx, r.conns, p.Connection)
	if err == nil && !c.allows(p.Unit) {
		err = actions.Permanent(fmt.Errorf("restart %s: connection %q does not allow it; what it allows stands under systemd.units in the engine's config", p.Unit, c.name))
	}
	return c, err
}

func (r restarter) targets(ctx context.Context, p restartParams) (actions.Selection, error) {
	c, err := r.get(ctx, p)
	if err != nil {
		return actions.Selection{}, err
	}
	u, err := c.show(ctx, p.Unit)
	if err != nil {
		return actions.Selection{}, c.failure("look at", p.Unit, err)
	}
	if u.load == "not-found" {
		return actions.Selection{}, nil
	}
	return actions.Selection{Name: c.prefix(p.Unit), Population: 1, Targets: []actions.Target{{
		ID: c.prefix(p.Unit) + u.invocation, Doc: u.active + " (" + u.sub + ")", Unhealthy: !u.runs(),
	}}}, nil
}

// prefix is a target's id without the start that is to be ended, by which a retry
// knows that it has been.
func (c *client) prefix(name string) string { return "unit/" + c.name + "/" + name + "@" }

func (c *client) failure(what, name string, err error) error {
	return fmt.Errorf("%s unit %s of systemd %q: %w", what, name, c.name, err)
}

func (r restarter) run(ctx context.Context, _ actions.Key, target actions.Target, p restartParams) (restartResult, error) {
	c, err := r.get(ctx, p)
	if err != nil {
		return restartResult{}, err
	}
	before, ours := strings.CutPrefix(target.ID, c.prefix(p.Unit))
	if !ours || strings.ContainsAny(before, "/* ") {
		return restartResult{}, actions.Permanent(fmt.Errorf("%q is no start of the unit %s", target.ID, p.Unit))
	}
	result, err := c.restart(ctx, before, p)
	if err != nil {
		return result, c.failure("restart", p.Unit, err)
	}
	return result, nil
}

func (c *client) restart(ctx context.Context, before string, p restartParams) (r restartResult, err error) {
	var failed error
	for attempt := range p.Attempts {
		if attempt > 0 {
			if err := sleep(ctx, p.pause(attempt-1)); err != nil {
				return r, err
			}
		}
		now, err := c.show(ctx, p.Unit)
		if err != nil {
			return r, err
		}
		if now.invocation == before || !now.runs() {
			r.Restarts++
			if _, err := c.call(ctx, "restart", "--", p.Unit); err != nil && (ctx.Err() != nil || actions.ClassOf(err) == actions.ClassPermanent) {
				return r, err
			}
		}
		if r.Invocation, failed = c.settled(ctx, p); failed == nil || ctx.Err() != nil {
			return r, failed
		}
	}
	return r, actions.Permanent(fmt.Errorf("it was restarted %d times and does not stay up: %w; look at: journalctl -u %s", r.Restarts, failed, p.Unit))
}

// settled watches one start for as long as it must stay up.
func (c *client) settled(ctx context.Context, p restartParams) (invocation string, err error) {
	first, err := c.show(ctx, p.Unit)
	if err != nil {
		return "", err
	}
	for until := time.Now().Add(time.Duration(p.Settle)); ; {
		now, err := c.show(ctx, p.Unit)
		switch {
		case err != nil:
			return "", err
		case !now.runs():
			return "", fmt.Errorf("it is %s (%s, %s)", now.active, now.sub, now.result)
		case now.invocation != first.invocation:
			return "", errors.New("it was started again meanwhile")
		case !time.Now().Before(until):
			return now.invocation, nil
		}
		if err := sleep(ctx, min(time.Duration(p.Settle), 200*time.Millisecond)); err != nil {
			return "", err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
