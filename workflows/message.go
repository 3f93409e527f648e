package workflows

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Message is an alert of our own: the team's routes decide who hears it.
type Message struct {
	Kind        string            `json:"kind"` // escalation, proposal, approval or override
	Severity    string            `json:"severity"`
	Summary     string            `json:"summary"`
	Story       string            `json:"story"`
	Labels      map[string]string `json:"-"`
	Annotations map[string]string `json:"-"`
	With        json.RawMessage   `json:"with"` // what Alertmanager is told
}

// The kinds of messages and the names of their alerts.
const (
	KindEscalation = "escalation"
	KindProposal   = "proposal"
	KindApproval   = "approval"
	KindOverride   = "override"

	EscalationAlert = "RunbookEscalation"
	ProposalAlert   = "RunbookProposal"
	ApprovalAlert   = "RunbookApproval"
	OverrideAlert   = "RunbookOverride"
)

// DrillLabel names the drill on what people are told of its runs, so that routes
// can tell them from an incident.
const DrillLabel = "drill"

const maxStory = 3500

func (a *Activities) message(c Conclusion) (Message, error) {
	m, name := a.proposal(c), ProposalAlert
	switch {
	case c.Kind == KindApproval:
		m, name = a.question(c), ApprovalAlert
	case c.Kind == KindOverride:
		m, name = a.override(c), OverrideAlert
	case c.Plan.Mode == runbooks.ModeLive:
		m, name = a.escalation(c), EscalationAlert
	}
	m.Labels = messageLabels(c.Plan, m.Severity)
	if c.Run.Drill != "" {
		m.Labels[DrillLabel], m.Summary = c.Run.Drill, "[drill] "+m.Summary
	}
	maps.Copy(m.Annotations, map[string]string{
		"summary": m.Summary, "description": m.Story, "run": c.Run.ID, "outcome": string(c.Run.Outcome),
		"show": "runbook runs show " + c.Run.ID,
	})
	if a.Link != "" {
		m.Annotations["link"] = strings.TrimRight(a.Link, "/") + "/api/v1/runs/" + c.Run.ID
	}
	with := map[string]any{"alertname": name, "labels": m.Labels, "annotations": m.Annotations}
	var err error
	m.With, err = json.Marshal(with)
	return m, err
}

func (a *Activities) proposal(c Conclusion) Message {
	return Message{
		Kind: KindProposal, Severity: "info", Story: story(c.Run), Annotations: map[string]string{},
		Summary: fmt.Sprintf("runbook %s would act: %s", c.Plan.Runbook, c.Plan.Document.Summary),
	}
}

func (a *Activities) escalation(c Conclusion) Message {
	m := a.proposal(c)
	m.Kind, m.Severity = KindEscalation, "page"
	m.Summary = fmt.Sprintf("runbook %s needs a person: %s", c.Plan.Runbook, cmp.Or(c.Run.OutcomeReason, string(c.Run.Outcome)))
	if e := c.Plan.Document.Escalate; e != nil {
		m.Severity, m.Summary = e.Severity, a.Evaluator.Text(&c.Plan, momentOf(c.Run), e.Summary)
	}
	return m
}

// override says who set which guards aside, and why.
func (a *Activities) override(c Conclusion) Message {
	m := a.proposal(c)
	m.Kind, m.Severity = KindOverride, cmp.Or(a.Notices, "warning")
	guards := strings.Join(c.Plan.Override, ", ")
	m.Summary = fmt.Sprintf("%s set aside %s for runbook %s: %s", c.Plan.Actor, guards, c.Plan.Runbook, c.Plan.Reason)
	maps.Copy(m.Annotations, map[string]string{"by": c.Plan.Actor, "reason": c.Plan.Reason, "override": guards})
	return m
}

// question has the very commands that answer it.
func (a *Activities) question(c Conclusion) Message {
	approval := c.Run.Approval
	m := a.proposal(c)
	m.Kind, m.Severity = KindApproval, "warning"
	if e := c.Plan.Document.Escalate; e != nil {
		m.Severity = e.Severity
	}
	m.Summary = fmt.Sprintf("runbook %s asks for consent: %s on %s%s", c.Plan.Runbook, strings.Join(approval.Steps, ", "), firstOf(approval.Targets), approval.AndLater())
	m.Annotations["approve"] = "runbook approve " + c.Run.ID + " --reason …"
	m.Annotations["deny"] = "runbook deny " + c.Run.ID + " --reason …"
	m.Annotations["deadline"] = approval.Deadline.UTC().Format(time.RFC3339)
	return m
}

// messageLabels are those of the alert that started the run, so that the team's
// routes and inhibitions by service or environment still work. The action has
// the name of the alert as a parameter of its own.
func messageLabels(p runbooks.Plan, severity string) map[string]string {
	labels := map[string]string{}
	if p.Alert != nil {
		for key, value := range p.Alert.Labels {
			labels[key] = value
		}
		labels["source_alertname"] = p.Alert.Name()
		labels["episode"] = p.Episode
	}
	delete(labels, "alertname")
	labels["severity"] = severity
	labels["runbook"] = p.Runbook
	labels[runbooks.OwnLabel] = runbooks.OwnValue
	return labels
}

func momentOf(r run.Run) runbooks.Moment {
	m := runbooks.Moment{Now: r.StartedAt, Steps: map[string]runbooks.Facts{}}
	for _, s := range r.Steps {
		if s.Outcome != "" {
			m.Steps[s.ID] = factsOf(s)
		}
	}
	return m
}

// story is what was seen and done, for the person who is called.
func story(r run.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "run %s: %s", r.ID, r.Outcome)
	if r.OutcomeReason != "" {
		fmt.Fprintf(&b, " (%s)", r.OutcomeReason)
	}
	b.WriteByte('\n')
	for _, e := range r.Events {
		fmt.Fprintf(&b, "%s %s\n", e.At.UTC().Format("15:04:05.000"), e.Text)
	}
	text := b.String()
	if len(text) > maxStory {
		text = strings.ToValidUTF8(text[:maxStory], "") + "…\n"
	}
	return text
}

// amount is a number of things in words.
func amount(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
