package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// SilenceAction is the action by which the page is held.
const SilenceAction = "alertmanager.silence"

// tells reports an action that only speaks with people: neither the kill switch
// nor a lease stands in its way.
func tells(action string) bool { return action == RaiseAction || action == SilenceAction }

// hold silences the alert for the time in which the run works. The silence ends
// by itself when the run does not end it: a page is never held for longer.
func (r *remediation) hold() {
	limit := r.plan.Document.HoldPage
	if limit == 0 || r.plan.Alert == nil || r.plan.Mode != runbooks.ModeLive {
		return
	}
	var with json.RawMessage
	if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityHush, r.conclusion()).Get(r.concluding, &with); err != nil {
		r.event("hold", "", "", "the page can not be held: "+message(err))
		return
	}
	call := r.tellCall("hold_page", with)
	r.held = &call
	if err := workflow.ExecuteActivity(raiseOptions(r.acting), "run/"+SilenceAction, call).Get(r.acting, nil); err != nil {
		r.event("hold", "", "", "the page can not be held: "+message(err))
		return
	}
	r.event("hold", "", "", fmt.Sprintf("the page is held for at most %s", limit))
}

// letGo ends the silence: whatever came of the run, people hear of what is left.
func (r *remediation) letGo() {
	if r.held == nil {
		return
	}
	err := workflow.ExecuteActivity(undoOptions(r.concluding), "undo/"+SilenceAction, *r.held).Get(r.concluding, nil)
	if err != nil {
		r.event("hold", "", "", fmt.Sprintf("the page is not released yet: %s; it is at the latest after %s", message(err), r.plan.Document.HoldPage))
		return
	}
	r.event("hold", "", "", "the page is released")
}

// Hush is the parameters of the silence that holds a page: on this alert alone.
func (a *Activities) Hush(_ context.Context, c Conclusion) (json.RawMessage, error) {
	var matchers []string
	for _, name := range slices.Sorted(maps.Keys(c.Plan.Alert.Labels)) {
		matchers = append(matchers, name+"="+strconv.Quote(c.Plan.Alert.Labels[name]))
	}
	with := map[string]any{
		"matchers": matchers, "duration": c.Plan.Document.HoldPage.String(),
		"comment": fmt.Sprintf("held while run %s works on it; it ends with the run", c.Run.ID),
	}
	if a.Escalation != "" {
		with["connection"] = a.Escalation
	}
	return json.Marshal(with)
}

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

func (r *remediation) tellCall(step string, with json.RawMessage) Call {
	call := callOf(r.plan, step, actions.Target{ID: "alert/" + r.run.ID}, with)
	call.Key = callKey(r.run.ID, step)
	return call
}
