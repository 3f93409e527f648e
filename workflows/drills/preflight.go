package drills

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

// Ready is what was found before anything was touched.
type Ready struct {
	Checks []gameday.Check `json:"checks"`
	Token  int64           `json:"token,omitempty"` // of the lease on the resource
}

// Preflight asks everything that can be known before something is touched. What
// can not be answered is unknown, and an unknown answer is none. The lock is
// taken last, when nothing else speaks against the drill.
func (a *Activities) Preflight(ctx context.Context, t Task) (Ready, error) {
	defer workflows.Beat(ctx, nil)()
	ready := a.Survey(ctx, t.ID, t.Plan)
	for _, c := range ready.Checks {
		if !c.Passed() {
			return ready, nil
		}
	}
	check, token := a.take(ctx, t)
	ready.Checks, ready.Token = append(ready.Checks, check), token
	return ready, nil
}

// Survey is the pre-flight without the lock: what `plan` shows of a game day.
func (a *Activities) Survey(ctx context.Context, id string, p gameday.Plan) Ready {
	ready := Ready{Checks: []gameday.Check{a.halt()}}
	for _, f := range p.Faults {
		ready.Checks = append(append(ready.Checks, a.targets(ctx, p, f)), a.rights(ctx, f)...)
	}
	ready.Checks = append(ready.Checks, a.free(ctx, id), a.quiet(ctx, p))
	if a.Checks != nil {
		ready.Checks = append(ready.Checks, a.Checks(ctx, p)...)
	}
	return ready
}

func (a *Activities) halt() gameday.Check {
	if halted := a.Halted(); halted != "" {
		return gameday.Check{Name: "halt", State: gameday.Failed, Text: halted}
	}
	return gameday.Check{Name: "halt", State: gameday.OK, Text: "the engine is not halted"}
}

// targets counts what a fault would touch, against the limits.
func (a *Activities) targets(ctx context.Context, p gameday.Plan, f gameday.PlanFault) gameday.Check {
	c := gameday.Check{Name: "targets of " + f.ID, State: gameday.OK}
	bound, err := a.bind(f)
	if err != nil {
		c.State, c.Text = gameday.Failed, message(err)
		return c
	}
	selection, err := bound.Targets(ctx)
	if err != nil {
		c.State, c.Text = gameday.Unknown, err.Error()
		return c
	}
	c.Text = fmt.Sprintf("%d of %d, at most %s: %s", len(selection.Targets), selection.Population, p.Limits.MaxTargets, strings.Join(selection.IDs(), ", "))
	if err := p.Limits.Check(selection, time.Duration(f.For)); err != nil {
		c.State, c.Text = gameday.Failed, err.Error()
	}
	return c
}

// rights asks whether a fault may be brought about, and ended, where that is a
// question.
func (a *Activities) rights(ctx context.Context, f gameday.PlanFault) []gameday.Check {
	bound, err := a.bind(f)
	if err != nil {
		return nil // which the check of the targets says
	}
	c := gameday.Check{Name: "rights for " + f.ID, State: gameday.OK, Text: f.Inject + " is allowed, and so is to end it"}
	switch asked, err := bound.Allowed(ctx); {
	case !asked:
		return nil
	case err != nil && actions.ClassOf(err) == actions.ClassPermanent:
		c.State, c.Text = gameday.Failed, err.Error()
	case err != nil:
		c.State, c.Text = gameday.Unknown, err.Error()
	}
	return []gameday.Check{c}
}

// free: no fault of another drill is in the systems.
func (a *Activities) free(ctx context.Context, id string) gameday.Check {
	c := gameday.Check{Name: "faults", State: gameday.OK, Text: "no fault of ours is in any system"}
	active, err := a.others(ctx, id)
	switch {
	case len(active) > 0:
		c.State, c.Text = gameday.Failed, fmt.Sprintf("%s is in a system already; runbook gameday heal --all ends it", active[0])
	case err != nil:
		c.State, c.Text = gameday.Unknown, "which faults are in the systems can not be found out: "+err.Error()
	}
	return c
}

// quiet: no real alert is in scope, the expected one does not fire already, and
// none that must stay silent does: nobody could tell whether it fired anew.
func (a *Activities) quiet(ctx context.Context, p gameday.Plan) gameday.Check {
	c := gameday.Check{Name: "alerts", State: gameday.OK, Text: "no alert in scope fires"}
	sieve, err := p.Sieve()
	if err != nil {
		c.State, c.Text = gameday.Failed, err.Error()
		return c
	}
	list, err := a.Alerts(ctx)
	if err != nil {
		c.State, c.Text = gameday.Unknown, "alertmanager did not answer: "+err.Error()
		return c
	}
	for _, one := range list {
		name, which := one.Labels["alertname"], "fires already (fingerprint "+one.Fingerprint+")"
		switch {
		case sieve.Expected(one.Labels), sieve.Real(one.Labels):
			c.State, c.Text = gameday.Failed, name+" "+which
		case p.Control != gameday.NoRemedy && sieve.Silent(one.Labels):
			c.State, c.Text = gameday.Failed, name+", which must stay silent, "+which
		}
	}
	if c.State == gameday.OK && p.Expect.Alert != nil && a.Pending != nil {
		return a.calm(ctx, c, sieve)
	}
	return c
}

// calm: the expected alert is not on its way already, for reasons of its own.
func (a *Activities) calm(ctx context.Context, c gameday.Check, sieve gameday.Sieve) gameday.Check {
	pending, err := a.Pending(ctx)
	switch at := slices.IndexFunc(pending, sieve.Expected); {
	case err != nil:
		c.State, c.Text = gameday.Warning, c.Text+"; whether the expected one is pending is not known: "+err.Error()
	case at >= 0:
		c.State, c.Text = gameday.Failed, pending[at]["alertname"]+" is pending already"
	}
	return c
}

// take takes the lock on the resource, under which nothing else acts on it.
func (a *Activities) take(ctx context.Context, t Task) (gameday.Check, int64) {
	c := gameday.Check{Name: "lock", State: gameday.OK, Text: "the game day locks nothing"}
	if t.Plan.Resource == "" {
		return c, 0
	}
	answer, err := a.Ledger.Apply(ctx, ledger.Op{Admit: &ledger.Admit{
		Run: t.ID, Runbook: t.Plan.Gameday, Workflow: WorkflowID(t.ID), Source: "gameday", Resource: t.Plan.Resource, OnConflict: "drop",
	}})
	switch {
	case err != nil:
		c.State, c.Text = gameday.Unknown, "the ledger did not answer: "+err.Error()
	case answer.State != ledger.Admitted:
		c.State, c.Text = gameday.Failed, fmt.Sprintf("refused by %s: %s", answer.Guard, answer.Reason)
	default:
		c.Text = t.Plan.Resource + " is locked for the drill"
		op := ledger.Op{Confirm: &ledger.Confirm{Run: t.ID, Token: answer.Token, Keep: leaseFor}}
		if _, err := a.Ledger.Apply(ctx, op); err != nil {
			c.State, c.Text = gameday.Unknown, "the lock could not be confirmed: "+err.Error()
		}
	}
	return c, answer.Token
}

// Rehearse is Survey with one look of each probe: what a drill would meet now.
func (a *Activities) Rehearse(ctx context.Context, p gameday.Plan) []gameday.Check {
	ready := a.Survey(ctx, "", p)
	w := &watcher{Activities: a, ctx: ctx}
	for _, probe := range p.Steady {
		s := w.sample(probe, time.Now())
		c := gameday.Check{Name: "probe " + probe.ID, State: gameday.Failed, Text: fmt.Sprintf("%s: %s", probe.Expect, s.Output)}
		switch {
		case s.State == gameday.Good:
			c.State = gameday.OK
		case s.Error != "":
			c.State, c.Text = gameday.Unknown, s.Error
		}
		ready.Checks = append(ready.Checks, c)
	}
	return ready.Checks
}
