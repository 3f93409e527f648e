package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// RolloutStep is the name under which the watch of a step's roll-out asks.
func RolloutStep(step string) string { return step + "/watch" }

// pace is how many targets a step takes at a time: its own stages, or those of
// the guards.
func (r *remediation) pace(i int) *runbooks.Batch {
	if ro := r.plan.Document.AllSteps()[i].Rollout; ro != nil {
		return ro.Batch()
	}
	return r.plan.Document.Guards.Batch
}

// observe watches the system after a stage of a roll-out, for as long as the
// document says. It gives why the roll-out must not go on, or "". That nobody
// can tell in the end is a reason.
func (r *remediation) observe(i int) (breach string) {
	s := &r.run.Steps[i]
	ro := r.plan.Document.AllSteps()[i].Rollout
	if ro == nil {
		return ""
	}
	r.event("watch", s.ID, "", fmt.Sprintf("%s: %d of %d done; watches for %s that %s", s.ID, len(s.Results), len(s.Selection.Targets), ro.Pause, ro.Watch.Expect))
	r.keep(r.concluding, duration(ro.Pause)+grace)
	outcome, reason := r.breached(i, ro)
	switch outcome {
	case run.NotFixed: // no breach came true in time
		return ""
	case run.Fixed:
		return fmt.Sprintf("the roll-out ends after %d targets: %s is no longer so", len(s.Results), ro.Watch.Expect)
	default:
		return fmt.Sprintf("the roll-out ends after %d targets: whether %s is %s", len(s.Results), ro.Watch.Expect, reason)
	}
}

// breached asks until the breach comes true, or the time is over.
func (r *remediation) breached(i int, ro *runbooks.Rollout) (run.Outcome, string) {
	breach, name := ro.Breach(), RolloutStep(r.run.Steps[i].ID)
	var looked Looked
	q := CheckQuestion{Question: r.question(i), Check: *breach, Token: r.token()}
	now := workflow.Now(r.concluding)
	if err := workflow.ExecuteLocalActivity(local(r.waiting), ActivityPrepareCheck, q).Get(r.waiting, &looked); err != nil {
		return run.Unknown, "not known: " + message(err)
	}
	if looked.Failed {
		return run.Unknown, "not known: " + looked.Reason
	}
	watch := Watch{
		Run: r.run.ID, Token: r.token(), Step: name, With: looked.With, Until: breach.Until, Every: breach.Every,
		Deadline: now.Add(duration(ro.Pause)), Seen: looked.Seen,
	}
	seen, err := r.watch(watch, breach, looked.Prepared)
	switch {
	case r.mustEnd():
		return run.NotFixed, "" // the run ends for a reason of its own
	case err != nil:
		return run.Unknown, "not known: " + message(err)
	}
	outcome, reason := verdict(watch, seen)
	return outcome, "not known: " + reason
}

// rollBack takes back what a roll-out did, last target first. What it did not
// come to needs no undo any more.
func (r *remediation) rollBack(i int) {
	ro, s := r.plan.Document.AllSteps()[i].Rollout, &r.run.Steps[i]
	if ro == nil || ro.OnBreach != "undo" {
		return
	}
	own := func(u undoable) bool { return u.step == i }
	called := func(u undoable) bool {
		return slices.ContainsFunc(s.Results, func(res run.Result) bool { return res.Target == u.target.ID })
	}
	r.event("rollback", s.ID, "", s.ID+": rolls back")
	for _, u := range slices.Backward(r.done) {
		if own(u) && called(u) {
			r.undoOne(u)
		}
	}
	r.done = slices.DeleteFunc(r.done, own)
}
