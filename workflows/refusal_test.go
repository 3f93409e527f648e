package workflows_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

const pages = "otherwise: [undo, escalate]\nescalate: {severity: page, summary: nobody acts}\n"

// record gives the bench an audit file.
func (b *bench) record() (lines func() string) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "audit.jsonl")
	var err error
	if b.audit, err = audit.Open(file); err != nil {
		b.t.Fatal(err)
	}
	b.again()
	return func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			b.t.Fatal(err)
		}
		return string(text)
	}
}

// What a guard kept from doing anything is skipped, not tried in vain, and says
// so everywhere. The alert is nobody's then, so people are called.
func TestARunThatAGuardKeptFromActingIsSkipped(t *testing.T) {
	b := newBench(t, "a1", "a2")
	lines := b.record()
	r := b.do(lights("max_targets: {count: 1}") + pages)
	b.expect(r, run.Skipped)
	b.expectStep(r, "light", run.Failed, "refused: 2 targets selected")
	if r.OutcomeReason != "step light refused: 2 targets selected, guards.max_targets of the runbook allows 1" {
		t.Errorf("reason %q", r.OutcomeReason)
	}
	if told := b.told(workflows.EscalationAlert); len(told) != 1 || told[0].Annotations["outcome"] != "skipped" {
		t.Errorf("told %+v", told)
	}
	if len(r.Undone) > 0 {
		t.Errorf("undone, though nothing was done: %+v", r.Undone)
	}
	if text := lines(); !strings.Contains(text, `"step":"light","decision":"refused by targets"`) || !strings.Contains(text, `"outcome":"skipped"`) {
		t.Errorf("audit file:\n%s", text)
	}
}

func TestWhatARefusedStepMeansForItsRun(t *testing.T) {
	const most = "guards: {max_targets: {count: 1}}\n"
	two := func(id string) string { return "{id: " + id + ", do: lamp.light, with: {prefix: a}}" }
	for name, c := range map[string]struct {
		doc     string
		outcome run.Outcome
		effects []string
	}{
		"after a change": {
			head + most + "steps: [{id: one, do: lamp.light, with: {prefix: b}}, " + two("all") + "]\nverify: {do: lamp.count, until: value >= 9, every: 100ms, within: 1s}\n",
			run.NotFixed, []string{"light b1"},
		},
		"beside what failed": {
			head + most + "steps: [" + two("all") + ", {id: none, if: 'steps.all.outcome == \"failed\"', do: lamp.light, with: {prefix: cellar}}]\n" + verified,
			run.NotFixed, nil,
		},
		"all remedies": {
			head + most + "remedies: [{id: first, steps: [" + two("all") + "]}, {id: second, steps: [" + two("more") + "]}]\n" + verified,
			run.Skipped, nil,
		},
		"one remedy of two": {
			head + most + "remedies: [{id: first, steps: [" + two("all") + "]}, {id: second, steps: [{id: one, do: lamp.light, with: {prefix: b}}]}]\n" + verified,
			run.Fixed, []string{"light b1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "a1", "a2", "b1")
			r := b.do(c.doc)
			b.expect(r, c.outcome, c.effects...)
			if len(r.Remedies) > 0 && r.Remedies[0].Outcome != run.Skipped {
				t.Errorf("the first remedy is %s", r.Remedies[0].Outcome)
			}
		})
	}
}

// A step that failed on its target has been tried, whatever its errors then hold
// back.
func TestWhatWasTriedIsNotRefused(t *testing.T) {
	b := newBench(t, "a1", "a2")
	b.house.refuse["a1"] = actions.Permanent(errors.New("no fuse"))
	r := b.do(lights("max_errors: 1, batch: {size: 1}"))
	if r.Outcome != run.NotFixed || r.Steps[0].Guard != workflows.GuardErrors {
		t.Errorf("guard %q: %s", r.Steps[0].Guard, describe(r))
	}
}

func TestPeopleAreCalledWhereAGuardLeavesAnAlertToNobody(t *testing.T) {
	t.Run("cooldown", func(t *testing.T) {
		b := newBench(t, "a1")
		b.keepsLedger()
		b.do(lights("cooldown: 1h") + pages)
		if r := b.do(lights("cooldown: 1h") + pages); r.Outcome != run.Skipped || len(b.told(workflows.EscalationAlert)) != 1 {
			t.Errorf("told %+v: %s", b.told(workflows.EscalationAlert), describe(r))
		}
	})
	t.Run("its alert is over", func(t *testing.T) {
		b := newBench(t, "a1")
		b.keepsLedger()
		b.do(lights("cooldown: 1h") + pages)
		p := b.plan(lights("cooldown: 1h") + pages)
		if _, err := b.runs.Resolve(t.Context(), p, time.Now()); err != nil {
			t.Fatal(err)
		}
		if r := b.wait(p.RunID()); r.Outcome != run.Skipped || r.Escalation != nil {
			t.Errorf("told %+v: %s", b.told(workflows.EscalationAlert), describe(r))
		}
	})
	t.Run("held by another", func(t *testing.T) {
		b := newBench(t, "a1")
		b.keepsLedgerWithin(ledger.Limits{Queue: ledger.Queue{Max: 10, MaxWait: model.Duration(time.Second)}})
		gate := make(chan struct{})
		b.house.gates = map[string]chan struct{}{"a1": gate}
		first := b.start(b.plan(lights("resource: house")))
		b.eventually("the first has begun", func() bool { return b.house.working() > 0 })
		if r := b.do(lights("resource: house, on_conflict: drop") + pages); r.Outcome != run.Skipped || len(b.told(workflows.EscalationAlert)) != 0 {
			t.Errorf("told, though another is at work: %s", describe(r))
		}
		r := b.do(lights("resource: house") + pages)
		if told := b.told(workflows.EscalationAlert); r.Outcome != run.Skipped || !strings.Contains(r.OutcomeReason, "its turn did not come") || len(told) != 1 {
			t.Errorf("told %+v: %s", told, describe(r))
		}
		close(gate)
		b.wait(first)
	})
	t.Run("a person sees it", func(t *testing.T) {
		b := newBench(t, "a1", "a2")
		p, err := b.load(lights("max_targets: {count: 1}")+pages).ForExec(map[string]any{"room": "hall"}, runbooks.ModeLive, "ada", "dark", b.queue)
		if err != nil {
			t.Fatal(err)
		}
		if r := b.wait(b.start(p)); r.Outcome != run.Skipped || r.Escalation != nil {
			t.Errorf("escalation %+v: %s", r.Escalation, describe(r))
		}
	})
}

// byAda is a run that ada starts, within the targets that she is limited to.
func (b *bench) byAda(doc string, only, override []string) run.Run {
	b.t.Helper()
	p, err := b.load(doc).ForExec(map[string]any{"room": "hall"}, runbooks.ModeLive, "ada", "dark", fmt.Sprintf("%s-%d", b.queue, len(b.started)))
	if err != nil {
		b.t.Fatal(err)
	}
	p.Only, p.Override = only, override
	return b.wait(b.start(p))
}

func TestWhoIsLimitedToTargetsReachesNoOther(t *testing.T) {
	b := newBench(t, "a1", "a2")
	r := b.byAda(lights(""), []string{"lamp/a1", "lamp/b*"}, nil)
	b.expect(r, run.Skipped)
	b.expectStep(r, "light", run.Failed, "lamp/a2 is not one of the targets that whoever asked is limited to: lamp/a1, lamp/b*")
	if r.Steps[0].Guard != workflows.GuardRole {
		t.Errorf("refused by %q", r.Steps[0].Guard)
	}
	allowed := newBench(t, "a1")
	allowed.expect(allowed.byAda(lights(""), []string{"lamp/*"}, nil), run.Fixed, "light a1")
}

// One name is set aside for runs and for targets.
func TestAnOverrideOfTheRateHoldsForTargetsToo(t *testing.T) {
	b := newBench(t, "a1")
	b.keepsLedger()
	doc := lights("rate: [1/h], rate_per_target: [1/h]")
	b.byAda(doc, nil, nil)
	b.expectStep(b.byAda(doc, nil, []string{"rate"}), "light", run.Done, "")
}

// What an action adds to a target's ID for itself makes no other target of it.
func TestTheRateOfATargetKnowsItByWhatItIs(t *testing.T) {
	b := newBench(t, "a1;red", "a1;blue")
	b.keepsLedger()
	smash := func(name string) run.Run {
		return b.do(head + "guards: {rate_per_target: [1/h]}\nsteps: [{id: light, do: lamp.smash, with: {name: '" + name + "'}}]\n" + verified)
	}
	b.expectStep(smash("a1;red"), "light", run.Done, "")
	b.expectStep(smash("a1;blue"), "light", run.Failed, "1 of 1 targets untouched")
}
