package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// check asks a probe until it gives the wanted answer. In a dry run it looks
// once.
func (r *remediation) check(step string, upto int, c *runbooks.Check) *run.Check {
	now := workflow.Now(r.concluding)
	out := &run.Check{Do: c.Do, Until: c.Until, StartedAt: &now}
	question := CheckQuestion{Question: r.question(upto), Check: *c, Token: r.token()}
	var looked Looked
	r.event("verify", step, "", fmt.Sprintf("verify: %s until %s, within %s", c.Do, c.Until, c.Within))
	err := workflow.ExecuteLocalActivity(local(r.waiting), ActivityPrepareCheck, question).Get(r.waiting, &looked)
	switch {
	case r.stopped():
		return r.endCheck(out, run.Cancelled, r.stop.reason)
	case err != nil && r.timeUp != "":
		return r.endCheck(out, run.NotFixed, r.timeUp)
	case err != nil:
		return r.endCheck(out, run.Unknown, "could not tell: "+message(err))
	case looked.Failed:
		return r.endCheck(out, run.Unknown, "could not tell: "+looked.Reason)
	}
	out.With = looked.With
	watch := Watch{
		Run: r.run.ID, Token: r.token(), Step: step, With: looked.With, Until: c.Until, Worse: c.Worse, Every: c.Every, Hold: c.Hold,
		Deadline: now.Add(duration(c.Within)), Once: r.plan.Mode != runbooks.ModeLive, Seen: looked.Seen,
	}
	seen, err := r.watch(watch, c, looked.Prepared)
	switch {
	case err != nil && r.timeUp != "":
		return r.endCheck(out, run.NotFixed, r.timeUp)
	case err != nil && r.stopped():
		return r.endCheck(out, run.Cancelled, r.stop.reason)
	case err != nil:
		return r.endCheck(out, run.Unknown, "could not tell: "+message(err))
	}
	out.Looks, out.First, out.Last, out.TrueAt = seen.Looks, seen.First, seen.Last, seen.TrueAt
	outcome, reason := verdict(watch, seen)
	if watch.Once {
		outcome, reason = run.Skipped, "now: "+reason
	}
	if seen.TrueAt != nil {
		r.eventAt(*seen.TrueAt, "relief", step, "", fmt.Sprintf("%s came true", c.Until))
	}
	return r.endCheck(out, outcome, reason)
}

// watch goes on looking, where the first look was not enough.
func (r *remediation) watch(watch Watch, c *runbooks.Check, p runbooks.Prepared) (seen Seen, err error) {
	if first := watch.Seen; first != nil && (watch.Once || first.Holds && c.Hold == 0) {
		return *first, nil
	}
	ctx := watchOptions(r.waiting, watch, c, p)
	err = workflow.ExecuteActivity(ctx, "verify/"+c.Do, watch).Get(ctx, &seen)
	return seen, err
}

func (r *remediation) endCheck(c *run.Check, outcome run.Outcome, reason string) *run.Check {
	now := workflow.Now(r.concluding)
	c.Outcome, c.Reason, c.EndedAt = outcome, reason, &now
	return c
}

// verify asks the run's own question, if anything was done.
func (r *remediation) verify() {
	check := r.plan.Document.Verify
	if check == nil || r.stopped() || !r.worthVerifying() {
		return
	}
	r.run.Phase = run.Verifying
	r.run.Verify = r.check("", len(r.run.Steps), check)
}

// worthVerifying: a run that changed nothing did not fix anything, unless its
// document only looks.
func (r *remediation) worthVerifying() bool {
	if r.plan.Mode != runbooks.ModeLive {
		return true
	}
	return r.run.Acted() || !r.hasWrites()
}

func (r *remediation) hasWrites() bool {
	for _, s := range r.run.Steps {
		// The risk of a step that did not come to run is not known; count it.
		if s.Risk == "" || s.Risk.Writes() {
			return true
		}
	}
	return false
}

func (r *remediation) outcome() (run.Outcome, string) {
	if r.stopped() {
		return run.Cancelled, r.stop.reason
	}
	switch r.plan.Mode {
	case runbooks.ModeDryRun:
		return run.Skipped, "dry run: nothing was changed"
	case runbooks.ModePropose:
		return run.Skipped, "autonomy is propose: nothing was changed, people were told"
	}
	if v := r.run.Verify; v != nil {
		return v.Outcome, v.Reason
	}
	if !r.run.Acted() && r.hasWrites() {
		return r.nothingDone()
	}
	for i := len(r.run.Steps) - 1; i >= 0; i-- {
		if v := r.run.Steps[i].Verify; v != nil {
			return v.Outcome, v.Reason
		}
	}
	if len(r.failed) > 0 {
		return run.NotFixed, "step " + r.failed[0] + " failed"
	}
	return run.Unknown, "nothing verified it"
}

// nothingDone tells a run that had no need to act from one that could not.
func (r *remediation) nothingDone() (run.Outcome, string) {
	for _, reason := range []string{r.unwilling, r.ended} {
		if reason != "" {
			return run.Skipped, reason
		}
	}
	if s := r.refusal(0, len(r.run.Steps)); s != nil {
		return run.Skipped, s.Refusal()
	}
	if len(r.failed) > 0 {
		first := r.failed[0]
		return run.NotFixed, fmt.Sprintf("step %s failed, and nothing was changed: %s", first, r.facts[first].Error)
	}
	return run.Skipped, "no step had to act"
}

// undo takes back what can be taken back, last change first, when the document
// or the person who stopped the run says so.
func (r *remediation) undo() {
	wanted := r.stop != nil && r.stop.undo || r.run.Outcome.Bad() && r.plan.Document.Has("undo")
	if !wanted {
		return
	}
	for n := len(r.done) - 1; n >= 0; n-- {
		r.undoOne(r.done[n])
	}
}

func (r *remediation) undoOne(u undoable) {
	s := r.run.Steps[u.step]
	entry := run.Undo{Step: s.ID, Do: s.Do, Target: u.target.ID}
	err := r.gated(r.concluding, never, func() error {
		return workflow.ExecuteActivity(undoOptions(r.concluding), "undo/"+s.Do, r.call(u.step, u.target, u.with)).Get(r.concluding, nil)
	})
	text := fmt.Sprintf("undo of %s on %s", s.ID, u.target.ID)
	if err != nil {
		entry.Error = message(err)
		text += " failed: " + entry.Error
	}
	r.run.Undone = append(r.run.Undone, entry)
	r.event("undo", s.ID, u.target.ID, text)
}

// tell raises our own alert: for people to take over, or to say what a proposal
// would have done.
func (r *remediation) tell() {
	if !r.mustTell() {
		return
	}
	var m Message
	if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivitySummarise, r.conclusion()).Get(r.concluding, &m); err != nil {
		r.event("escalation", "", "", "people could not be told: "+message(err))
		return
	}
	r.run.Escalation = &run.Escalation{Kind: m.Kind, Severity: m.Severity, Summary: m.Summary, Story: m.Story}
	missed, err := StartPage(r.concluding, r.run.ID, m, 0)
	if err != nil {
		r.run.Escalation.Error = message(err)
		r.event("escalation", "", "", fmt.Sprintf("%s could not be sent yet: %s", m.Kind, message(err)))
		return
	}
	r.run.Escalation.Sent = true
	r.event("escalation", "", "", fmt.Sprintf("%s sent: %s", m.Kind, m.Summary))
	if missed != "" {
		r.event("escalation", "", "", "not every Alertmanager was told: "+missed)
	}
	// What ends the page came before there was one.
	if r.alertOver {
		EndPage(r.concluding, r.run.ID, PageEnd{By: "alertmanager", Reason: "the alert ended"})
	}
}

func (r *remediation) mustTell() bool {
	if r.plan.Mode == runbooks.ModePropose {
		return r.plan.Refusal == "" && len(r.leftOut) > 0
	}
	if r.mustEscalate {
		return true
	}
	return r.plan.Mode == runbooks.ModeLive && (r.run.Outcome.Bad() || r.leftAlone()) && r.plan.Document.Has("escalate")
}

func roundDuration(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
