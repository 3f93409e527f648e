package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// defaultApproval is the time to answer where the document does not say.
const defaultApproval = model.Duration(10 * time.Minute)

// GuardApproval is the name by which consent is set aside.
const GuardApproval = "approval"

// mustAsk reports that a step needs consent: by its risk, or because the run
// may not act by itself.
func (r *remediation) mustAsk(risk actions.Risk) bool {
	if !risk.Writes() || slices.Contains(r.plan.Override, GuardApproval) {
		return false
	}
	byLevel := r.run.Autonomy != nil && r.run.Autonomy.Effective == runbooks.Approve
	return (byLevel || len(r.policies(risk)) > 0) && !r.consentedTo.AtLeast(risk)
}

// policies are those that a risk falls under, the runbook's first.
func (r *remediation) policies(risk actions.Risk) (all []runbooks.ApprovalPolicy) {
	for _, p := range []*runbooks.ApprovalPolicy{r.plan.Document.Guards.Approve, r.engine.Approve} {
		if p != nil && risk.AtLeast(actions.Risk(p.At)) {
			all = append(all, *p)
		}
	}
	return all
}

// policy is how people are asked about a risk: both policies hold where both
// ask; a level that asks goes by any that there is.
func (r *remediation) policy(risk actions.Risk) (policy runbooks.ApprovalPolicy, also []string) {
	all := r.policies(risk)
	if len(all) == 0 {
		all = r.policies(actions.Destructive)
	}
	switch len(all) {
	case 0:
		return r.levelPolicy(), nil
	case 1:
		return all[0], nil
	}
	policy = all[0].Stricter(all[1])
	if len(policy.By) == 0 {
		policy.By = all[1].By
		return policy, nil
	}
	return policy, all[1].By
}

// levelPolicy is that of a level that asks, where nothing else says how.
func (r *remediation) levelPolicy() runbooks.ApprovalPolicy {
	policy := runbooks.ApprovalPolicy{Count: 1, Within: defaultApproval, Otherwise: "skip"}
	if r.plan.Document.Escalate != nil {
		policy.Otherwise = "escalate"
	}
	return policy
}

// ask asks people for their consent to a step on exactly these targets, and to
// the later steps that are no riskier, and waits: a failover must not stop between
// fencing and promoting. It reports why not, or "".
func (r *remediation) ask(i int, p runbooks.Prepared, targets []actions.Target) (refusal string) {
	s, now := &r.run.Steps[i], workflow.Now(r.concluding)
	policy, also := r.policy(s.Risk)
	r.run.Approval = &run.Approval{
		Steps: []string{s.ID}, Targets: each(targets, id), Later: p.Covers, By: policy.By, Also: also, Count: max(1, policy.Count), AskedAt: now,
		Deadline: now.Add(duration(policy.Within)), State: run.Asked,
	}
	phase := r.run.Phase
	r.run.Phase = run.Approving
	defer func() { r.run.Phase = phase }()
	r.event("asked", s.ID, "", fmt.Sprintf("%s: consent needed for %s on %s%s by %s", s.ID, s.Do, listOf(targets), r.run.Approval.AndLater(),
		r.run.Approval.Deadline.UTC().Format(time.RFC3339)))
	r.keep(r.concluding, duration(policy.Within)+grace)
	question := r.raiseQuestion()
	r.hearOut()
	r.withdraw(question)
	return r.consent(i, policy)
}

// hearOut takes decisions until they suffice, one is a no, or the time is over.
func (r *remediation) hearOut() {
	ctx, stop := workflow.WithCancel(r.waiting)
	defer stop()
	a := r.run.Approval
	timer := workflow.NewTimer(ctx, a.Deadline.Sub(workflow.Now(r.concluding)))
	for a.State == run.Asked && !r.stopped() {
		selector := workflow.NewSelector(r.concluding)
		selector.AddReceive(r.decisions, func(c workflow.ReceiveChannel, _ bool) {
			var d Decision
			c.Receive(r.concluding, &d)
			r.hear(d)
		})
		selector.AddFuture(timer, func(workflow.Future) {
			if !r.stopped() {
				a.State = run.Expired
			}
		})
		selector.Select(r.concluding)
	}
}

// hear counts a decision. Nobody consents to what they asked for, and nobody
// counts twice.
func (r *remediation) hear(d Decision) {
	a := r.run.Approval
	switch {
	case d.Approve && d.By == r.run.Actor:
		r.event("decision", "", "", d.By+" started this run, and can not consent to it")
		return
	case d.Approve && !a.Lets(d.Roles):
		r.event("decision", "", "", fmt.Sprintf("%s may not consent: it takes %s", d.By, a.Roles()))
		return
	case slices.ContainsFunc(a.Decisions, func(o run.Decision) bool { return o.By == d.By }):
		r.event("decision", "", "", d.By+" has answered already")
		return
	}
	a.Decisions = append(a.Decisions, run.Decision{By: d.By, Approve: d.Approve, Limited: d.Limited, Reason: d.Reason, At: workflow.Now(r.concluding)})
	switch {
	case !d.Approve:
		a.State = run.Denied
		r.event("decision", "", "", fmt.Sprintf("denied by %s: %s", d.By, d.Reason))
	case len(a.Decisions) >= a.Count:
		a.State = run.Approved
		r.event("decision", "", "", fmt.Sprintf("approved by %s: %s", d.By, d.Reason))
	default:
		r.event("decision", "", "", fmt.Sprintf("approved by %s, %d of %d: %s", d.By, len(a.Decisions), a.Count, d.Reason))
	}
}

// consent is what follows from the answer.
func (r *remediation) consent(i int, policy runbooks.ApprovalPolicy) (refusal string) {
	a := r.run.Approval
	switch {
	case r.stopped():
		return r.stop.reason
	case a.State == run.Approved:
		if risk := r.run.Steps[i].Risk; !a.Limited() && risk.AtLeast(r.consentedTo) {
			r.consentedTo = risk
		}
		return ""
	}
	reason := "nobody consented within " + policy.Within.String()
	switch {
	case a.State == run.Expired && r.timeUp != "":
		reason = "nobody consented in time: " + r.timeUp
	case a.State == run.Denied:
		last := a.Decisions[len(a.Decisions)-1]
		reason = fmt.Sprintf("denied by %s: %s", last.By, last.Reason)
	}
	r.unwilling = reason
	r.mustEscalate = policy.Otherwise == "escalate" && a.State == run.Expired
	return r.refusedBy(i, GuardApproval, reason)
}

// still keeps of what was consented to that which is selected now.
func still(consented, now []actions.Target) []actions.Target {
	return slices.DeleteFunc(slices.Clone(consented), func(t actions.Target) bool {
		return !slices.ContainsFunc(now, func(o actions.Target) bool { return o.ID == t.ID })
	})
}

// each gives one name of each target.
func each(targets []actions.Target, name func(actions.Target) string) []string {
	all := make([]string, len(targets))
	for i, t := range targets {
		all[i] = name(t)
	}
	return all
}

func id(t actions.Target) string { return t.ID }

const named = 5

// listOf names the first targets, for people.
func listOf(targets []actions.Target) string { return firstOf(each(targets, id)) }

func firstOf(names []string) string {
	if len(names) <= named {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:named], ", "), len(names)-named)
}
