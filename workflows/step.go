package workflows

import (
	"encoding/json"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

func (r *remediation) step(i int) {
	s := &r.run.Steps[i]
	now := workflow.Now(r.concluding)
	s.Status, s.StartedAt = run.Running, &now
	prepared, err := r.prepare(i)
	switch {
	case err != nil:
		r.endStep(i, run.Failed, err.Error())
	case prepared.Failed:
		r.endStep(i, run.Failed, "not acted, because a question has no answer: "+prepared.Reason)
	case prepared.Undecided:
		r.wouldRun(i, prepared)
	case !prepared.Run:
		r.endStep(i, run.Skipped, prepared.Reason)
	default:
		r.runStep(i, prepared)
	}
}

func (r *remediation) prepare(i int) (runbooks.Prepared, error) {
	if first := r.first; i == 0 && first != nil {
		r.first, r.read = nil, first.Answer
		return first.Prepared, nil
	}
	for {
		var ready Ready
		err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityPrepare, r.question(i)).Get(r.concluding, &ready)
		switch {
		case err != nil:
			return ready.Prepared, err
		case ready.Over != "":
			r.noLonger(ready.Over)
			return runbooks.Prepared{Reason: ready.Over}, nil
		case ready.Halted == "":
			r.read = ready.Answer
			return ready.Prepared, nil
		}
		if r.standStill(r.waiting, ready.Halted, r.stopped); r.stopped() {
			return runbooks.Prepared{Reason: r.stop.reason}, nil
		}
	}
}

func (r *remediation) runStep(i int, p runbooks.Prepared) {
	s := &r.run.Steps[i]
	s.Risk, s.With = p.Risk, p.With
	dry := r.plan.Mode != runbooks.ModeLive
	if dry && (p.Risk.Writes() || p.Idle) {
		r.wouldRun(i, p)
		return
	}
	targets, refusal, err := r.selectTargets(i, p)
	switch {
	case err != nil:
		r.endStep(i, r.interrupted(run.Failed), "select targets: "+message(err))
	case refusal != "":
		r.endStep(i, run.Failed, "refused: "+refusal)
	case len(targets) == 0:
		r.endEmpty(i)
	default:
		r.runConsented(i, p, targets)
	}
}

// runConsented asks for consent where it is needed. People may take their time:
// only what they saw and what is still selected is touched.
func (r *remediation) runConsented(i int, p runbooks.Prepared, targets []actions.Target) {
	if !r.mustAsk(p.Risk) {
		r.runTargets(i, p, targets)
		return
	}
	if refusal := r.ask(i, p, targets); refusal != "" {
		r.endStep(i, run.Skipped, "no consent: "+refusal)
		return
	}
	now, refusal, err := r.selectTargets(i, p)
	targets = still(targets, now)
	switch {
	case err != nil:
		r.endStep(i, r.interrupted(run.Failed), "select targets again: "+message(err))
	case refusal != "":
		r.endStep(i, run.Failed, "refused: "+refusal)
	case len(targets) == 0:
		r.endStep(i, run.Failed, "nothing is left of what was consented to")
	default:
		r.runTargets(i, p, targets)
	}
}

// endEmpty: finding nothing is a mistake unless the document allows it.
func (r *remediation) endEmpty(i int) {
	if r.plan.Document.AllSteps()[i].AllowEmpty {
		r.endStep(i, run.Skipped, "nothing to act on")
		return
	}
	r.endStep(i, run.Failed, "nothing to act on: the selection is empty")
}

// selectTargets asks what would be touched and holds it against the blast
// radius.
func (r *remediation) selectTargets(i int, p runbooks.Prepared) (targets []actions.Target, refusal string, err error) {
	s := &r.run.Steps[i]
	selection := Selected{Selection: actions.Selection{Population: 1}}
	if p.Target != nil {
		selection.Targets = []actions.Target{*p.Target}
	} else {
		r.counted = workflow.Now(r.acting)
		future := workflow.ExecuteActivity(targetOptions(r.acting, p), "targets/"+s.Do, r.call(i, actions.Target{}, p.With))
		if err := future.Get(r.acting, &selection); err != nil {
			return nil, "", err
		}
		r.event("targets", s.ID, "", fmt.Sprintf("%s: %d of %d selected", s.ID, len(selection.Targets), selection.Population))
	}
	s.Selection, r.members = &selection.Selection, selection.Members
	if !p.Risk.Writes() {
		return selection.Targets, "", nil
	}
	if refusal := outside(r.plan.Only, selection.Targets); refusal != "" {
		return selection.Targets, r.refusedBy(i, GuardRole, refusal), nil
	}
	first := firstBatch(r.pace(i), selection.Targets)
	return selection.Targets, r.refusedBy(i, GuardTargets, r.radius(p, selection.Selection).refuses(first)), nil
}

// detailed is up to how many targets each has events of its own; the results
// have them all.
const detailed = 3

func (r *remediation) runTargets(i int, p runbooks.Prepared, targets []actions.Target) {
	s := &r.run.Steps[i]
	if len(targets) > detailed {
		r.event("call", s.ID, "", fmt.Sprintf("%s: %s on %d targets", s.ID, s.Do, len(targets)))
	}
	if p.Undoes {
		// Registered before the call: an answer that is lost must not leave a change.
		for _, t := range targets {
			r.done = append(r.done, undoable{step: i, target: t, with: p.With})
		}
	}
	gone, refusal := 0, refused(r.reserve(i, p, targets))
	if refusal == "" {
		gone, refusal = r.eachBatch(i, p, targets)
	}
	failure := firstFailure(s.Results)
	if failure != nil || refusal != "" {
		r.rollBack(i)
	}
	untouched := len(targets) - len(s.Results) - gone
	switch {
	case failure != nil:
		r.endFailed(i, *failure, untouched)
	case refusal != "":
		r.endStep(i, run.Failed, fmt.Sprintf("%s; %d of %d targets untouched", refusal, untouched, len(targets)))
	case untouched > 0:
		r.endStep(i, run.Cancelled, fmt.Sprintf("stopped with %d of %d targets untouched", untouched, len(targets)))
	default:
		r.endDone(i, p.Target == nil)
	}
}

func (r *remediation) endFailed(i int, failure run.Result, untouched int) {
	reason := fmt.Sprintf("on %s: %s", failure.Target, failure.Error)
	if untouched > 0 {
		reason += fmt.Sprintf("; %d targets left untouched", untouched)
		if most, of := r.maxErrors(); r.tooManyErrors(i) {
			reason += r.refusedBy(i, GuardErrors, fmt.Sprintf(", because guards.max_errors of %s is %d", of, most))
		}
	}
	outcome := run.Failed
	if failure.Class == actions.ClassAmbiguous {
		outcome, reason = run.Unknown, "it may have happened: "+reason
		r.failed = append(r.failed, r.run.Steps[i].ID)
	}
	r.endStep(i, r.interrupted(outcome), reason)
}

// interrupted: what fails because the run was stopped is cancelled, not failed.
func (r *remediation) interrupted(outcome run.Outcome) run.Outcome {
	if r.stopped() && outcome == run.Failed {
		return run.Cancelled
	}
	return outcome
}

func firstFailure(results []run.Result) *run.Result {
	for i := range results {
		if results[i].Error != "" {
			return &results[i]
		}
	}
	return nil
}

func (r *remediation) onTarget(ctx workflow.Context, i int, p runbooks.Prepared, target actions.Target) run.Result {
	s := &r.run.Steps[i]
	began := workflow.Now(r.concluding)
	few := s.Selection == nil || len(s.Selection.Targets) <= detailed
	if few {
		r.eventAt(r.called(), "call", s.ID, target.ID, fmt.Sprintf("%s: %s on %s", s.ID, s.Do, target.ID))
	}
	answer, err := r.carry(ctx, i, p, target)
	result := run.Result{
		Target: target.ID, Doc: target.Doc, Output: answer.Output, Attempt: answer.Attempt,
		StartedAt: answer.StartedAt, EndedAt: answer.EndedAt,
	}
	if err != nil {
		result.StartedAt, result.EndedAt = began, workflow.Now(r.concluding)
		result.Error, result.Class = message(err), classOf(err)
		r.uncertain = r.uncertain || result.Class == actions.ClassAmbiguous
		r.event("failed", s.ID, target.ID, fmt.Sprintf("%s: %s on %s: %s", s.ID, s.Do, target.ID, result.Error))
		return result
	}
	if r.run.FirstActionAt == nil {
		r.run.FirstActionAt = &answer.StartedAt
	}
	if few {
		r.eventAt(answer.EndedAt, "answer", s.ID, target.ID, fmt.Sprintf("%s: %s on %s took %s", s.ID, s.Do, target.ID,
			roundDuration(answer.EndedAt.Sub(answer.StartedAt))))
	}
	return result
}

// called is when a call is made: preparing the step may have made it already.
func (r *remediation) called() time.Time {
	if r.read != nil {
		return r.read.StartedAt
	}
	return workflow.Now(r.concluding)
}

// carry has the action done on a target, unless preparing the step has read it.
func (r *remediation) carry(ctx workflow.Context, i int, p runbooks.Prepared, target actions.Target) (answer Answer, err error) {
	if read := r.read; read != nil {
		r.read = nil
		return *read, nil
	}
	err = r.gated(ctx, r.mustEnd, func() error {
		return workflow.ExecuteActivity(runOptions(ctx, p), "run/"+r.run.Steps[i].Do, r.call(i, target, p.With)).Get(ctx, &answer)
	})
	return answer, err
}

func (r *remediation) call(i int, target actions.Target, with json.RawMessage) Call {
	c := callOf(r.plan, r.run.Steps[i].ID, target, with)
	c.Token = r.token()
	return c
}

func callOf(p *runbooks.Plan, step string, target actions.Target, with json.RawMessage) Call {
	c := Call{
		Run: p.RunID(), Runbook: p.Runbook, Actor: p.Actor, Reason: p.Reason, Step: step,
		Key: callKey(p.RunID(), step+"/"+target.ID), Target: target, With: with,
	}
	if p.Alert != nil {
		c.Reason = "alert " + p.Alert.Name()
	}
	return c
}

// endDone joins the results into the step's output and asks whether it helped.
func (r *remediation) endDone(i int, selects bool) {
	s := &r.run.Steps[i]
	outputs := make([]json.RawMessage, len(s.Results))
	for n := range s.Results {
		outputs[n] = s.Results[n].Output
	}
	output, err := runbooks.JoinResults(selects, outputs)
	if err != nil {
		r.endStep(i, run.Failed, err.Error())
		return
	}
	s.Output = output
	check := r.plan.Document.AllSteps()[i].Verify
	if check == nil {
		r.endStep(i, run.Done, "")
		return
	}
	r.facts[s.ID] = factsOf(*s)
	s.Verify = r.check(s.ID, i+1, check)
	r.endStep(i, s.Verify.Outcome, s.Verify.Reason)
}

func (r *remediation) endStep(i int, outcome run.Outcome, reason string) {
	r.rest(i)
	s := &r.run.Steps[i]
	now := r.endedAt(s)
	s.Status, s.Outcome, s.Reason, s.EndedAt = run.Ended, outcome, reason, &now
	if outcome == run.Failed || outcome == run.Worse {
		r.failed = append(r.failed, s.ID)
	}
	r.facts[s.ID] = factsOf(*s)
	text := fmt.Sprintf("%s: %s", s.ID, outcome)
	if reason != "" {
		text += " (" + reason + ")"
	}
	r.eventAt(r.following(now), "step", s.ID, "", text)
}

// endedAt is not before the last of what the step did: a workflow's clock stands
// still within a task.
func (r *remediation) endedAt(s *run.Step) time.Time {
	now := workflow.Now(r.concluding)
	for _, result := range s.Results {
		if result.EndedAt.After(now) {
			now = result.EndedAt
		}
	}
	return now
}

func factsOf(s run.Step) runbooks.Facts {
	f := runbooks.Facts{Outcome: string(s.Outcome), Output: s.Output, Targets: len(s.Results)}
	if s.Outcome == run.Failed || s.Outcome == run.Unknown {
		f.Error = s.Reason
	}
	return f
}

// wouldRun is what a dry run says of a step that it leaves out: the exact
// targets, and what the step's check sees now.
func (r *remediation) wouldRun(i int, p runbooks.Prepared) {
	s := &r.run.Steps[i]
	s.Risk, s.With, s.WouldRun = p.Risk, p.With, true
	r.leftOut = append(r.leftOut, s.ID)
	reason := "would run"
	if p.Undecided {
		reason = "may run: " + p.Reason
	}
	if p.Run && p.Risk.Writes() {
		targets, refusal, err := r.selectTargets(i, p)
		switch {
		case err != nil:
			reason = "would fail: select targets: " + message(err)
		case refusal != "":
			reason = "would be refused: " + refusal
		case len(targets) == 0 && !r.plan.Document.AllSteps()[i].AllowEmpty:
			reason += "; it would fail now: the selection is empty"
		default:
			reason += " on " + amount(len(targets), "target") + r.acceptance(i, p, targets)
		}
	}
	if check := r.plan.Document.AllSteps()[i].Verify; check != nil && !p.Undecided {
		s.Verify = r.check(s.ID, i+1, check)
	}
	r.endStep(i, run.Skipped, reason)
}
