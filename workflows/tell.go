package workflows

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// SilenceAction is the action by which the page is held.
const SilenceAction = "alertmanager.silence"

// tells reports an action that only speaks with people: neither the kill switch
// nor a lease stands in its way.
func tells(action string) bool { return action == RaiseAction || action == SilenceAction }

// raiseQuestion tells people that their consent is asked for, beside the waiting
// for it: somebody may answer before every Alertmanager has taken it.
func (r *remediation) raiseQuestion() (id string) {
	r.questions++
	id = fmt.Sprintf("%s/approval-%d", r.run.ID, r.questions)
	c, approval := r.conclusion(), r.run.Approval
	c.Kind = KindApproval
	workflow.Go(r.concluding, func(ctx workflow.Context) {
		if problem := r.askPeople(ctx, id, c); problem != "" {
			r.event("asked", "", "", problem)
		}
		if approval.State != run.Asked {
			EndPage(ctx, id, PageEnd{By: "runbook", Reason: string(approval.State)})
		}
	})
	return id
}

func (r *remediation) askPeople(ctx workflow.Context, id string, c Conclusion) (problem string) {
	var m Message
	if err := workflow.ExecuteLocalActivity(local(ctx), ActivitySummarise, c).Get(ctx, &m); err != nil {
		return "people could not be asked: " + message(err)
	}
	missed, err := StartPage(ctx, id, m, r.run.Approval.Deadline.Sub(r.run.Approval.AskedAt)+grace)
	switch {
	case err != nil:
		return "people could not be asked yet: " + message(err)
	case missed != "":
		return "not every Alertmanager was told: " + missed
	}
	return ""
}

// overrideLasts lets every route have told of it before it is over.
const overrideLasts = time.Hour

// tellOverride tells people that a guard was set aside, beside the run: it waits
// for it only at its end.
func (r *remediation) tellOverride() (told func()) {
	if len(r.plan.Override) == 0 || r.plan.Mode != runbooks.ModeLive {
		return func() {}
	}
	done, settle := workflow.NewFuture(r.concluding)
	c := r.conclusion()
	c.Kind = KindOverride
	workflow.Go(r.concluding, func(ctx workflow.Context) {
		text := "people are told of what was set aside: " + strings.Join(r.plan.Override, ", ")
		if problem := r.pageOverride(ctx, c); problem != "" {
			text = problem
		}
		r.event("override", "", "", text)
		settle.SetValue(nil)
	})
	return func() { _ = done.Get(r.concluding, nil) }
}

func (r *remediation) pageOverride(ctx workflow.Context, c Conclusion) (problem string) {
	var m Message
	if err := workflow.ExecuteLocalActivity(local(ctx), ActivitySummarise, c).Get(ctx, &m); err != nil {
		return "people could not be told of what was set aside: " + message(err)
	}
	missed, err := StartPage(ctx, r.run.ID+"/override", m, overrideLasts)
	switch {
	case err != nil:
		return "people could not be told yet of what was set aside: " + message(err)
	case missed != "":
		return "not every Alertmanager was told of what was set aside: " + missed
	}
	return ""
}

// withdraw ends the question.
func (r *remediation) withdraw(id string) {
	EndPage(r.concluding, id, PageEnd{By: "runbook", Reason: string(r.run.Approval.State)})
}
