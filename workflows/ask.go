package workflows

import (
	"context"
	"fmt"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/runbooks"
)

// Asking is the question of a dry run whether a system would accept a step.
type Asking struct {
	Call    Call             `json:"call"`
	Targets []actions.Target `json:"targets"`
}

// Refusals are what it would not accept.
type Refusals struct {
	Count int    `json:"count"`
	First string `json:"first,omitempty"`
}

// acceptance is what the system says of a step that a dry run leaves out.
func (r *remediation) acceptance(i int, p runbooks.Prepared, targets []actions.Target) string {
	if !p.Asks {
		return ""
	}
	var refused Refusals
	asking := Asking{Call: r.call(i, actions.Target{}, p.With), Targets: targets}
	err := workflow.ExecuteActivity(targetOptions(r.acting, p), "ask/"+r.run.Steps[i].Do, asking).Get(r.acting, &refused)
	switch {
	case err != nil:
		return "; whether the system would accept it is not known: " + message(err)
	case refused.Count > 0: // by the system, or because it could not be asked
		return fmt.Sprintf("; it would fail now on %d: %s", refused.Count, refused.First)
	}
	return ""
}

func (c caller) ask(ctx context.Context, asking Asking) (refused Refusals, err error) {
	defer Beat(ctx, nil)()
	bound, err := c.bind(asking.Call.With)
	if err != nil {
		return refused, err
	}
	for _, target := range asking.Targets {
		err := bound.Accepts(ctx, target)
		if ctx.Err() != nil {
			return refused, ctx.Err()
		}
		if err == nil {
			continue
		}
		if refused.Count++; refused.Count == 1 {
			refused.First = fmt.Sprintf("on %s: %s", target.ID, err)
		}
	}
	return refused, nil
}
