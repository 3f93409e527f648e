package workflows

import (
	"context"
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// act carries out the steps and verifies, or one remedy after the other until
// the system is better.
func (r *remediation) act() {
	remedies := r.plan.Document.Remedies
	if len(remedies) == 0 {
		r.steps(0, len(r.run.Steps))
		r.verify()
		return
	}
	from := 0
	for n, remedy := range remedies {
		to := from + len(remedy.Steps)
		r.remedy(n, from, to)
		if r.stopped() || r.unwilling != "" || r.ended != "" || !r.another() {
			r.leaveOut(n+1, to)
			return
		}
		from = to
	}
}

func (r *remediation) steps(from, to int) {
	r.run.Phase = run.Acting
	for i := from; i < to; i++ {
		switch {
		case r.stopped():
			r.skip(i, to, run.Cancelled, r.stop.reason)
			return
		case r.timeUp != "":
			r.skip(i, to, run.Skipped, r.timeUp)
			return
		case r.unwilling != "":
			r.skip(i, to, run.Skipped, "no consent: "+r.unwilling)
			return
		case r.ended != "":
			r.skip(i, to, run.Skipped, r.ended)
			return
		}
		r.step(i)
	}
}

func (r *remediation) skip(from, to int, outcome run.Outcome, reason string) {
	for i := from; i < to; i++ {
		r.endStep(i, outcome, reason)
	}
}

// remedy is one attempt, within its time. An action under way is not cut off.
func (r *remediation) remedy(n, from, to int) {
	remedy := r.plan.Document.Remedies[n]
	r.run.Remedies = append(r.run.Remedies, run.Remedy{ID: remedy.ID})
	state := &r.run.Remedies[n]
	if reason := r.passOver(n, from); reason != "" {
		state.Outcome, state.Reason = run.Skipped, reason
		r.skip(from, to, run.Skipped, reason)
		return
	}
	r.event("remedy", "", "", fmt.Sprintf("remedy %s, %d of %d", remedy.ID, n+1, len(r.plan.Document.Remedies)))
	r.failed, r.run.Verify = nil, nil
	done := r.limit(remedy)
	r.steps(from, to)
	r.verify()
	done()
	state.Outcome, state.Reason = r.attempted(from, to)
	r.event("remedy", "", "", fmt.Sprintf("remedy %s: %s (%s)", remedy.ID, state.Outcome, state.Reason))
}

// limit ends the waiting of a remedy when its time is over.
func (r *remediation) limit(remedy runbooks.Remedy) (done func()) {
	outer, stopOuter := r.waiting, r.stopWaiting
	r.waiting, r.stopWaiting = workflow.WithCancel(outer)
	ended := false
	timer, stopTimer := workflow.WithCancel(r.waiting)
	if remedy.Within > 0 {
		workflow.Go(timer, func(ctx workflow.Context) {
			if workflow.Sleep(ctx, time.Duration(remedy.Within)) == nil && !ended {
				r.timeUp = fmt.Sprintf("remedy %s had %s", remedy.ID, remedy.Within)
				r.stopWaiting()
			}
		})
	}
	return func() {
		ended = true
		stopTimer()
		stopped := r.stop != nil
		r.waiting, r.stopWaiting = outer, stopOuter
		if r.timeUp = ""; stopped {
			r.stopWaiting()
		}
	}
}

// attempted is what came of a remedy.
func (r *remediation) attempted(from, to int) (run.Outcome, string) {
	switch {
	case r.stopped():
		return run.Cancelled, r.stop.reason
	case r.unwilling != "":
		return run.Skipped, r.unwilling
	case r.run.Verify != nil:
		return r.run.Verify.Outcome, r.run.Verify.Reason
	case len(r.failed) > 0:
		if s := r.refusal(from, to); s != nil {
			return run.Skipped, s.Refusal()
		}
		return run.NotFixed, "step " + r.failed[0] + " failed"
	}
	for _, s := range r.run.Steps[from:to] {
		if len(s.Results) > 0 && s.Risk.Writes() {
			return run.Unknown, "nothing verified it"
		}
	}
	return run.Skipped, "no step had to act"
}

// another reports that the next remedy is worth trying: the last is known not to
// have helped. Nobody acts on what nobody can see.
func (r *remediation) another() bool {
	last := r.run.Remedies[len(r.run.Remedies)-1].Outcome
	return last == run.NotFixed || last == run.Skipped
}

// leaveOut ends what is not tried.
func (r *remediation) leaveOut(n, from int) {
	outcome, reason := run.Skipped, "not tried: "
	switch {
	case r.stopped():
		outcome, reason = run.Cancelled, r.stop.reason
	case r.unwilling != "":
		reason += r.unwilling
	default:
		last := r.run.Remedies[n-1]
		reason += fmt.Sprintf("remedy %s is %s", last.ID, last.Outcome)
	}
	for _, remedy := range r.plan.Document.Remedies[n:] {
		r.run.Remedies = append(r.run.Remedies, run.Remedy{ID: remedy.ID, Outcome: outcome, Reason: reason})
	}
	r.skip(from, len(r.run.Steps), outcome, reason)
}

// RemedyQuestion asks whether a remedy is to be tried.
type RemedyQuestion struct {
	Question
	Remedy int `json:"remedy"`
}

// passOver is why a remedy is not tried, or "".
func (r *remediation) passOver(n, from int) string {
	if r.plan.Document.Remedies[n].If == "" {
		return ""
	}
	var reason string
	q := RemedyQuestion{Question: r.question(from), Remedy: n}
	if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityRemedy, q).Get(r.concluding, &reason); err != nil {
		return "its condition can not be answered: " + message(err)
	}
	return reason
}

// Remedy answers why a remedy is not to be tried, or "".
func (a *Activities) Remedy(_ context.Context, q RemedyQuestion) (reason string, err error) {
	yes, reason, err := a.Evaluator.Remedy(&q.Plan, a.moment(q.Question), q.Remedy)
	switch {
	case err != nil:
		return "its condition can not be answered: " + err.Error(), nil
	case yes:
		return "", nil
	}
	return reason, nil
}
