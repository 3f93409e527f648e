package workflows_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

func (b *bench) decide(id string, d workflows.Decision) {
	b.t.Helper()
	if err := b.client.SignalWorkflow(b.t.Context(), runbooks.WorkflowID(id), "", workflows.SignalDecision, d); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) asked(id string) run.Run {
	b.t.Helper()
	r := b.until(id, func(r run.Run) bool { return r.Approval != nil })
	b.eventually("people are asked", func() bool { return len(b.told(workflows.ApprovalAlert)) > 0 })
	return r
}

func consent(rules string) string {
	return head + "guards: {approve: {at: reversible, " + rules + "}}\nsteps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified
}

const calls = "otherwise: [escalate]\nescalate: {severity: page, summary: still dark}\n"

func TestConsentIsByTwoOthersOfTheRightRole(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(consent("by: [approver], count: 2, within: 1m, otherwise: skip"))
	p.Actor = "ada"
	id := b.start(p)
	r := b.asked(id)
	if r.Approval.State != run.Asked || len(r.Approval.Targets) != 1 || r.Phase != run.Approving {
		t.Errorf("asked: %+v in phase %s", r.Approval, r.Phase)
	}
	if question := b.told(workflows.ApprovalAlert)[0]; question.Annotations["approve"] != "runbook approve "+id+" --reason …" ||
		question.Annotations["deny"] != "runbook deny "+id+" --reason …" || question.Annotations["deadline"] != r.Approval.Deadline.UTC().Format(time.RFC3339) ||
		question.Annotations["link"] != "http://runbook.example/api/v1/runs/"+id ||
		!strings.HasPrefix(question.Annotations["summary"], "runbook lights asks for consent: light on lamp/") {
		t.Errorf("the question does not say how to answer it: %v", question.Annotations)
	}
	for _, d := range []workflows.Decision{
		{By: "ada", Roles: []string{"approver"}, Approve: true},
		{By: "eve", Roles: []string{"viewer"}, Approve: true},
		{By: "bob", Roles: []string{"approver"}, Approve: true, Reason: "yes"},
		{By: "bob", Roles: []string{"approver"}, Approve: true, Reason: "yes, yes"},
	} {
		b.decide(id, d)
	}
	r = b.until(id, func(r run.Run) bool { return strings.Contains(describe(r), "answered already") })
	if len(b.house.log()) > 0 || r.Approval.State != run.Asked || len(r.Approval.Decisions) != 1 {
		t.Errorf("acted without the consent of two: %s", describe(r))
	}
	b.decide(id, workflows.Decision{By: "cyd", Roles: []string{"approver"}, Approve: true, Reason: "go"})
	b.expect(b.wait(id), run.Fixed, "light hall")
	b.eventually("the question is withdrawn", func() bool { return len(b.told(workflows.ApprovalAlert)) == 0 })
}

func TestWithoutConsentNothingIsDone(t *testing.T) {
	t.Parallel()
	t.Run("denied", func(t *testing.T) {
		b := newBench(t, "hall")
		id := b.start(b.plan(consent("within: 1m, otherwise: skip")))
		b.asked(id)
		b.decide(id, workflows.Decision{By: "bob", Reason: "not now"})
		r := b.wait(id)
		b.expect(r, run.Skipped)
		b.expectStep(r, "light", run.Skipped, "denied by bob: not now")
	})
	t.Run("nobody answers", func(t *testing.T) {
		b := newBench(t, "hall")
		r := b.do(consent("within: 1s, otherwise: escalate") + calls)
		b.expect(r, run.Skipped)
		b.expectStep(r, "light", run.Skipped, "nobody consented within 1s")
		if len(b.told(workflows.EscalationAlert)) != 1 {
			t.Errorf("nobody was told: %s", describe(r))
		}
	})
	t.Run("the time of the remedy is over", func(t *testing.T) {
		b := newBench(t, "hall")
		r := b.do(head + "guards: {approve: {at: reversible, within: 1m, otherwise: skip}}\n" +
			"remedies: [{id: gently, within: 1s, steps: [{id: light, do: lamp.light, with: {prefix: ha}}]}]\n" + verified)
		b.expect(r, run.Skipped)
		b.expectStep(r, "light", run.Skipped, "nobody consented in time: remedy gently had 1s")
	})
	t.Run("the run is cancelled", func(t *testing.T) {
		b := newBench(t, "hall")
		id := b.start(b.plan(consent("within: 1m, otherwise: skip")))
		b.asked(id)
		if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada"}); err != nil {
			t.Fatal(err)
		}
		b.expect(b.wait(id), run.Cancelled)
	})
}

func TestConsentIsForTheTargetsThatWereShown(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "hatch")
	id := b.start(b.plan(consent("within: 1m, otherwise: skip")))
	b.asked(id)
	b.house.set(func() {
		delete(b.house.lamps, "hall")
		b.house.lamps["harbour"] = false
	})
	b.decide(id, workflows.Decision{By: "bob", Approve: true})
	b.expect(b.wait(id), run.Fixed, "light hatch")
}

// A failover is not left between two of its steps; what is riskier than what
// people were asked about is asked about again.
func TestConsentIsAlsoForWhatComesAfterAndIsNoRiskier(t *testing.T) {
	t.Parallel()
	const steps = `steps:
  - {id: light, do: lamp.light, with: {prefix: ha}}
  - {id: more, do: lamp.light, with: {prefix: hu}}
  - {id: smash, do: lamp.smash, with: {name: den}}
` + verified
	for name, guards := range map[string]string{"by the level": "", "by the runbook": "guards: {approve: {at: reversible, within: 1m, otherwise: skip}}\n"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "hall", "hut", "den")
			b.level = runbooks.Approve
			id := b.start(b.plan(head + guards + steps))
			r := b.asked(id)
			if got := strings.Join(r.Approval.Later, " "); got != "more" {
				t.Errorf("people consent to %q as well, want more", got)
			}
			if summary := b.told(workflows.ApprovalAlert)[0].Annotations["summary"]; summary != "runbook lights asks for consent: light on lamp/hall, and for what is no riskier after it: more" {
				t.Errorf("the question is %q", summary)
			}
			b.decide(id, workflows.Decision{By: "bob", Approve: true})
			b.until(id, func(r run.Run) bool { return r.Approval.Steps[0] == "smash" && r.Approval.State == run.Asked })
			if got := strings.Join(b.house.log(), ", "); got != "light hall, light hut" {
				t.Errorf("before the second consent: %s", got)
			}
			b.decide(id, workflows.Decision{By: "bob", Approve: true})
			b.expect(b.wait(id), run.Fixed, "light hall", "light hut", "light den")
		})
	}
}

func TestWhoMayConsentToSomeTargetsConsentsToNoLaterStep(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "hut")
	b.level = runbooks.Approve
	id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}, {id: more, do: lamp.light, with: {prefix: hu}}]\n" + verified))
	b.asked(id)
	b.decide(id, workflows.Decision{By: "bob", Approve: true, Limited: true})
	b.until(id, func(r run.Run) bool { return r.Approval.Steps[0] == "more" && r.Approval.State == run.Asked })
	b.decide(id, workflows.Decision{By: "bob", Reason: "no"})
	b.expect(b.wait(id), run.Fixed, "light hall")
}

func TestAutonomyIsLowered(t *testing.T) {
	t.Parallel()
	doc := head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified
	for level, outcome := range map[runbooks.Level]run.Outcome{runbooks.Off: run.Skipped, runbooks.Propose: run.Skipped} {
		b := newBench(t, "hall")
		b.level = level
		r := b.do(doc)
		b.expect(r, outcome)
		if r.Autonomy == nil || r.Autonomy.Effective != level || r.Autonomy.Level != runbooks.Auto || len(r.Autonomy.Why) == 0 {
			t.Errorf("%s: the run does not say why: %+v", level, r.Autonomy)
		}
		if proposals := len(b.told(workflows.ProposalAlert)); proposals != map[runbooks.Level]int{runbooks.Propose: 1}[level] {
			t.Errorf("%s: %d proposals", level, proposals)
		}
	}
	b := newBench(t, "hall")
	b.level = runbooks.Approve
	id := b.start(b.plan(doc))
	b.asked(id)
	b.decide(id, workflows.Decision{By: "bob", Approve: true})
	b.expect(b.wait(id), run.Fixed, "light hall")
}

func TestAPersonSetsConsentAside(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(consent("within: 1m, otherwise: skip"))
	p.Override = []string{workflows.GuardApproval}
	b.expect(b.wait(b.start(p)), run.Fixed, "light hall")
}

func TestAnAlertMustFireForAWhileAndStill(t *testing.T) {
	t.Parallel()
	doc := head + "for: 2s\nsteps: [{id: light, do: lamp.light, with: {prefix: ha}}, {id: more, do: lamp.light, with: {prefix: att}}]\n" + verified
	t.Run("it does", func(t *testing.T) {
		b := newBench(t, "hall", "attic")
		r := b.do(doc)
		b.expect(r, run.Fixed, "light hall", "light attic")
		if r.FirstActionAt == nil {
			t.Fatal("nothing was done")
		}
		if waited := r.FirstActionAt.Sub(r.Alert.StartsAt); waited < 2*time.Second {
			t.Errorf("acted after %s", waited)
		}
	})
	t.Run("it stops before the first step", func(t *testing.T) {
		b := newBench(t, "hall", "attic")
		b.firing = func() (bool, error) { return false, nil }
		b.expect(b.do(doc), run.Skipped)
	})
	t.Run("nobody can tell", func(t *testing.T) {
		b := newBench(t, "hall", "attic")
		b.firing = func() (bool, error) { return false, errors.New("no answer") }
		b.expect(b.do(doc), run.Skipped)
	})
	t.Run("it stops after the first step", func(t *testing.T) {
		b := newBench(t, "hall", "attic")
		b.firing = func() (bool, error) { return len(b.house.log()) == 0, nil }
		b.expect(b.do(doc), run.Fixed, "light hall")
	})
}

func TestAPageThatCameAfterTheEndOfItsAlertIsEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(head + "on_resolve: finish\nsteps: [{id: light, do: lamp.light, with: {prefix: ha}}]\nverify: {do: lamp.count, until: value >= 9, every: 100ms, within: 5s}\n" + calls)
	id := b.start(p)
	b.acts()
	b.resolve(p)
	r := b.wait(id)
	if r.Escalation == nil || !r.Escalation.Sent {
		t.Fatalf("nobody was told: %s", describe(r))
	}
	b.eventually("the page is ended", func() bool { return len(b.told(workflows.EscalationAlert)) == 0 })
}

// Break-glass is not silent: people hear who set what aside, and why.
func TestAnOverrideIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p, err := b.load(consent("within: 1m")+calls).ForExec(map[string]any{"room": "hall"}, runbooks.ModeLive, "ada", "the site is down", b.queue)
	if err != nil {
		t.Fatal(err)
	}
	p.Override = []string{workflows.GuardApproval}
	id := b.start(p)
	b.expect(b.wait(id), run.Fixed, "light hall")
	told := b.overrides(id)
	if len(told) != 1 || told[0].Annotations["summary"] != "ada set aside approval for runbook lights: the site is down" || told[0].Labels["severity"] != "warning" {
		t.Errorf("told %+v", told)
	}
	idle := p
	idle.Episode += "-idle"
	idle.Document.When = "false"
	if r := b.wait(b.start(idle)); !strings.Contains(describe(r), "people are told of what was set aside: approval") || len(b.overrides(r.ID)) != 1 {
		t.Errorf("a run that ended at once: %s", describe(r))
	}
	dry, err := b.load(consent("within: 1m")+calls).ForExec(map[string]any{"room": "hall"}, runbooks.ModeDryRun, "ada", "a look", b.queue+"-dry")
	if err != nil {
		t.Fatal(err)
	}
	dry.Override = p.Override
	if r := b.wait(b.start(dry)); len(b.overrides(r.ID)) != 0 {
		t.Error("told of a dry run")
	}
}

func (b *bench) overrides(id string) (found []*models.GettableAlert) {
	b.t.Helper()
	all, err := people.Alerts(b.t.Context(), alertmanagerapi.Filter{Matchers: []string{"alertname=" + workflows.OverrideAlert}, Active: true})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range all {
		if a.Annotations["run"] == id {
			found = append(found, a)
		}
	}
	return found
}
