package workflows_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

const head = `
runbook: lights
summary: Light the house.
params: {room: {type: string, from: alert.labels.room}}
autonomy: auto
`

const verified = `
verify: {do: lamp.count, until: value >= 1, every: 100ms, within: 1s}
`

func TestAnAlertBecomesAVerifiedFix(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	r := b.do(head + `
steps:
  - {id: look, do: lamp.count}
  - id: light
    if: steps.look.output.value < 1 && alert.labels.severity == "critical"
    do: lamp.light
    with: {prefix: '${params.room}'}
    verify: {do: lamp.count, until: value >= 1, every: 100ms, within: 10s, hold: 200ms}
  - {id: again, if: steps.light.outcome != "fixed", do: lamp.light, with: {prefix: ''}}
` + verified)
	b.expect(r, run.Fixed, "light hall")
	b.expectStep(r, "look", run.Done, "")
	b.expectStep(r, "light", run.Fixed, "held for 200ms")
	b.expectStep(r, "again", run.Skipped, "condition is false")
	if r.FirstActionAt == nil || r.EndedAt == nil || r.Verify == nil || r.Verify.TrueAt == nil {
		t.Errorf("times are missing: %+v", r)
	}
	rows, err := b.runs.List(t.Context(), listFilter("lights"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		t.Error("the run is not in the list")
	}
}

func TestAStepThatFailsEndsTheSequenceUnlessALaterOneAsks(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	b.house.refuse["hall"] = actions.Permanent(errors.New("light hall: no such fuse"))
	r := b.do(head + `
steps:
  - {id: light, do: lamp.light, with: {prefix: hall}}
  - {id: blind, do: lamp.light, with: {prefix: attic}}
  - {id: other, if: steps.light.outcome == "failed", do: lamp.light, with: {prefix: attic}}
` + verified)
	b.expect(r, run.Fixed, "light attic")
	b.expectStep(r, "light", run.Failed, "no such fuse")
	b.expectStep(r, "blind", run.Skipped, "step light failed")
	b.expectStep(r, "other", run.Done, "")
}

func TestAConditionWithoutAnAnswerMeansDoNotAct(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	r := b.do(head + `
steps:
  - {id: look, if: 'alert.labels.room == "attic"', do: lamp.count}
  - {id: light, if: steps.look.output.value < 1, do: lamp.light, with: {prefix: hall}}
` + verified)
	b.expect(r, run.NotFixed)
	b.expectStep(r, "light", run.Failed, "a question has no answer")
}

func TestWhenIsAskedFirst(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]string{
		`'alert.labels.room == "attic"'`:           "its condition is false",
		`'int(alert.labels.room) == 1'`:            "can not be answered",
		`'"night" in windows'`:                     "",
		`'now < alert.starts_at - duration("1h")'`: "its condition is false",
	} {
		b := newBench(t, "hall")
		b.windows = []string{"night"}
		r := b.do(head + "when: " + when + "\nsteps: [{id: light, do: lamp.light, with: {prefix: hall}}]\n" + verified)
		if want == "" {
			b.expect(r, run.Fixed, "light hall")
			continue
		}
		b.expect(r, run.Skipped)
		if !strings.Contains(r.OutcomeReason, want) {
			t.Errorf("when %s: %q, want %q", when, r.OutcomeReason, want)
		}
	}
}

func TestAnEmptySelectionIsNeverAll(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	doc := head + "steps: [{id: light, do: lamp.light, with: {prefix: cellar}%s}]\n" + verified
	r := b.do(fmt.Sprintf(doc, ""))
	b.expect(r, run.NotFixed)
	b.expectStep(r, "light", run.Failed, "selection is empty")
	r = b.do(fmt.Sprintf(doc, ", allow_empty: true"))
	b.expect(r, run.Skipped)
	b.expectStep(r, "light", run.Skipped, "nothing to act on")
}

func TestBlastRadius(t *testing.T) {
	t.Parallel()
	for limit, refused := range map[string]string{
		"{count: 3}":              "",
		"{count: 2}":              "allows 2",
		"{percent: 75}":           "",
		"{percent: 74.9}":         "allows 74.9 %",
		"{count: 3, percent: 10}": "allows 10 %",
	} {
		b := newBench(t, "a1", "a2", "a3", "b1")
		r := b.do(head + "guards: {max_targets: " + limit + "}\nsteps: [{id: light, do: lamp.light, with: {prefix: a}}]\n" + verified)
		if refused == "" {
			if r.Outcome != run.Fixed || len(b.house.log()) != 3 {
				t.Errorf("max_targets %s: %s", limit, describe(r))
			}
			continue
		}
		b.expect(r, run.Skipped)
		b.expectStep(r, "light", run.Failed, refused)
	}
}

func TestTargetsAreWorkedOnWithinTheActionsLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a1", "a2", "a3", "a4", "a5", "a6")
	b.house.pause = 200 * time.Millisecond
	r := b.do(head + "steps: [{id: light, do: lamp.light, with: {prefix: a}}]\n" + verified)
	if r.Outcome != run.Fixed || len(b.house.log()) != 6 || b.house.busiest != 2 {
		t.Errorf("busiest %d, effects %v: %s", b.house.busiest, b.house.log(), describe(r))
	}
}

func TestTheFirstFailureStopsTheRest(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a1", "a2", "a3", "a4", "a5", "a6")
	b.house.refuse["a2"] = actions.Permanent(errors.New("stuck"))
	failed := make(chan struct{})
	b.house.gates = map[string]chan struct{}{"a1": failed}
	id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: a}}]\n" + verified))
	b.until(id, func(r run.Run) bool { return len(r.Steps[0].Results) > 0 })
	close(failed)
	r := b.wait(id)
	b.expect(r, run.Fixed, "light a1")
	b.expectStep(r, "light", run.Failed, "4 targets left untouched")
}

func TestRetries(t *testing.T) {
	t.Parallel()
	once := errors.New("lost the line")
	for name, c := range map[string]struct {
		do      string
		answers []error
		want    run.Outcome
		left    int // answers that were not asked for
	}{
		"transient is tried again under the same key": {"lamp.light, with: {prefix: hall}", []error{once, once}, run.Fixed, 0},
		"and not for ever":                            {"lamp.light, with: {prefix: hall}", []error{once, once, once, once, once}, run.Fixed, 1},
		"permanent is not":                            {"lamp.light, with: {prefix: hall}", []error{actions.Permanent(once), once}, run.Fixed, 1},
		"what can not be repeated is not":             {"lamp.smash, with: {name: hall}", []error{once, once}, run.Fixed, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "hall")
			b.house.fail["hall"] = c.answers
			r := b.do(head + "steps: [{id: light, do: " + c.do + "}]\n" + verified)
			b.expect(r, c.want, "light hall")
			if left := len(b.house.fail["hall"]); left != c.left {
				t.Errorf("%d answers left, want %d: %s", left, c.left, describe(r))
			}
		})
	}
}

func TestAnAmbiguousFailureIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	b.house.fail["hall"] = []error{actions.Ambiguous(errors.New("the answer was lost"))}
	r := b.do(head + `
steps:
  - {id: light, do: lamp.smash, with: {name: hall}}
  - {id: next, do: lamp.light, with: {prefix: hall}}
` + verified)
	b.expectStep(r, "light", run.Unknown, "it may have happened")
	b.expectStep(r, "next", run.Skipped, "step light failed")
	b.expect(r, run.Fixed, "light hall") // the system itself says so
}

func TestVerification(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verify string
		broken bool
		want   run.Outcome
		reason string
	}{
		"came true":           {"until: value >= 1, every: 100ms, within: 1s", false, run.Fixed, "holds"},
		"did not":             {"until: value >= 2, every: 100ms, within: 1s", false, run.NotFixed, "did not come true"},
		"worse":               {"until: value >= 2, worse: value >= 1, every: 100ms, within: 1s", false, run.Worse, "value >= 1 holds"},
		"not worse":           {"until: value >= 2, worse: value < 1, every: 100ms, within: 1s", false, run.NotFixed, "did not come true"},
		"better after all":    {"until: value >= 1, worse: value >= 1, every: 100ms, within: 1s", false, run.Fixed, "holds"},
		"worse can't be said": {"until: value >= 2, worse: 'value / 0 > 1', every: 100ms, within: 1s", false, run.Unknown, "could not tell"},
		"can not tell":        {"until: value >= 1, every: 100ms, within: 1s", true, run.Unknown, "the meter does not answer"},
		"condition can't run": {"until: 'value / 0 > 1', every: 100ms, within: 1s", false, run.Unknown, "could not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "hall")
			b.house.broken = c.broken
			r := b.do(head + "steps: [{id: light, do: lamp.light, with: {prefix: hall}}]\nverify: {do: lamp.count, " + c.verify + "}\n")
			b.expect(r, c.want, "light hall")
			if !strings.Contains(r.OutcomeReason, c.reason) {
				t.Errorf("reason %q, want %q", r.OutcomeReason, c.reason)
			}
			if !slices.IsSortedFunc(r.Events, func(a, b run.Event) int { return a.At.Compare(b.At) }) {
				t.Errorf("not in the order of time: %s", describe(r))
			}
		})
	}
}

func TestAStepThatMakesItWorseEndsTheSequence(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic", "cellar")
	r := b.do(head + `
steps:
  - id: light
    do: lamp.light
    with: {prefix: ha}
    verify: {do: lamp.count, until: value >= 9, worse: value >= 1, every: 100ms, within: 1s}
  - {id: more, do: lamp.light, with: {prefix: cellar}}
  - {id: instead, if: steps.light.outcome == "worse", do: lamp.light, with: {prefix: attic}}
verify: {do: lamp.count, until: value >= 2, every: 100ms, within: 1s}
`)
	b.expectStep(r, "light", run.Worse, "value >= 1 holds")
	b.expectStep(r, "more", run.Skipped, "step light made it worse, and this step does not ask about it")
	b.expect(r, run.Fixed, "light hall", "light attic")
}

func TestAHoldThatBreaksIsNotAFix(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	id := b.start(b.plan(head + `
steps: [{id: light, do: lamp.light, with: {prefix: hall}}]
verify: {do: lamp.count, until: value >= 1, every: 100ms, within: 1s, hold: 2s}
`))
	b.until(id, func(r run.Run) bool { return r.Phase == run.Verifying })
	b.house.set(func() { b.house.lamps["hall"] = false })
	b.expect(b.wait(id), run.NotFixed, "light hall")
}

func TestUndoGoesBackwardsAndCoversLostAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a1", "b1")
	b.house.fail["b1"] = []error{actions.Permanent(errors.New("the answer was lost"))}
	r := b.do(head + `
steps:
  - {id: first, do: lamp.light, with: {prefix: a}}
  - {id: second, do: lamp.light, with: {prefix: b}}
verify: {do: lamp.count, until: value >= 3, every: 100ms, within: 1s}
otherwise: [undo]
`)
	b.expect(r, run.NotFixed, "light a1", "light b1", "darken b1", "darken a1")
	if len(r.Undone) != 2 {
		t.Errorf("undone %+v", r.Undone)
	}
}

const escalating = `
steps: [{id: light, do: lamp.light, with: {prefix: hall}}]
verify: {do: lamp.count, until: value >= 3, every: 100ms, within: 1s}
otherwise: [escalate]
escalate: {severity: page, summary: '${alert.labels.room} stays dark: ${steps.light.outcome}'}
`

func TestEscalationTellsTheStory(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	r := b.do(head + escalating)
	b.expect(r, run.NotFixed, "light hall")
	told := b.told(workflows.EscalationAlert)
	if len(told) != 1 || r.Escalation == nil || !r.Escalation.Sent {
		t.Fatalf("alerts %v, escalation %+v", told, r.Escalation)
	}
	a := told[0]
	if a.Labels["severity"] != "page" || a.Labels["room"] != "hall" ||
		a.Labels["source_alertname"] != "Dark" || a.Labels[runbooks.OwnLabel] != runbooks.OwnValue {
		t.Errorf("labels %v", a.Labels)
	}
	if a.Annotations["summary"] != "hall stays dark: done" || !strings.Contains(a.Annotations["description"], "lamp.light on lamp/hall") {
		t.Errorf("annotations %v", a.Annotations)
	}
}

func TestWhatPeopleAreToldOfADrillSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	b.drill = "dark-hall.20260105-030000"
	r := b.do(head + escalating)
	told := b.told(workflows.EscalationAlert)
	if r.Drill != b.drill || len(told) != 1 {
		t.Fatalf("drill %q, alerts %v", r.Drill, told)
	}
	if a := told[0]; a.Labels[workflows.DrillLabel] != b.drill || a.Annotations["summary"] != "[drill] hall stays dark: done" {
		t.Errorf("labels %v, annotations %v", a.Labels, a.Annotations)
	}
}

func TestAnEscalationThatCanNotBeSentIsSaid(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	b.worker.Stop()
	b.deaf = true
	b.work()
	r := b.do(head + escalating)
	if r.Outcome != run.NotFixed || r.Escalation == nil || r.Escalation.Sent || !strings.Contains(r.Escalation.Error, "no alertmanager") {
		t.Errorf("escalation %+v", r.Escalation)
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "hatch", "attic")
	p := b.plan(head + `
steps:
  - {id: look, do: lamp.count}
  - {id: rest, do: pass, with: {for: 1h}}
  - id: light
    if: steps.look.output.value < 1
    do: lamp.light
    with: {prefix: ha}
    verify: {do: lamp.count, until: value >= 1, within: 1h}
  - {id: last, if: steps.light.outcome != "fixed", do: lamp.light, with: {prefix: attic}}
  - {id: never, if: steps.look.output.value > 1, do: lamp.light, with: {prefix: attic}}
` + verified)
	p.Mode = runbooks.ModeDryRun
	r := b.wait(b.start(p))
	b.expect(r, run.Skipped)
	b.expectStep(r, "look", run.Done, "")
	b.expectStep(r, "rest", run.Skipped, "would run")
	b.expectStep(r, "light", run.Skipped, "would run on 2 targets")
	b.expectStep(r, "last", run.Skipped, "may run: depends on step light")
	b.expectStep(r, "never", run.Skipped, "condition is false")
	if got := r.Steps[2].Selection; got == nil || got.Targets[1].ID != "lamp/hatch" {
		t.Errorf("targets %+v", got)
	}
	if v := r.Steps[2].Verify; v == nil || v.Looks != 1 || !strings.HasPrefix(v.Reason, "now: ") {
		t.Errorf("check %+v", v)
	}
}

func TestAProposalTellsPeopleAndDoesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	r := b.do(strings.Replace(head, "autonomy: auto", "", 1) + "steps: [{id: light, do: lamp.light, with: {prefix: hall}}]\n")
	b.expect(r, run.Skipped)
	told := b.told(workflows.ProposalAlert)
	if r.Mode != runbooks.ModePropose || len(told) != 1 {
		t.Fatalf("mode %s, alerts %v", r.Mode, told)
	}
	if a := told[0]; !strings.Contains(a.Annotations["description"], "would run on 1 target") ||
		!strings.HasPrefix(a.Annotations["summary"], "runbook lights would act: ") {
		t.Errorf("proposal %v", a)
	}
}

func TestARefusedPlanIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: hall}}]\n" + verified)
	p.Refusal = "the alert has no labels.room"
	r := b.wait(b.start(p))
	b.expect(r, run.Skipped)
	if r.OutcomeReason != p.Refusal {
		t.Errorf("reason %q", r.OutcomeReason)
	}
}

func TestHostileLabelsAreRefused(t *testing.T) {
	t.Parallel()
	for _, label := range []string{`x"; rm -rf /`, "$(reboot)", "'; DROP TABLE x; --", "a\nb", "", strings.Repeat("a", 1_000_000)} {
		b := newBench(t, "hall")
		p := b.load(head + "steps: [{id: light, do: lamp.light, with: {prefix: '${params.room}'}}]\n" + verified).ForAlert(runbooks.Alert{
			Labels: map[string]string{"alertname": "Dark", "room": label}, StartsAt: time.Now(), Fingerprint: fmt.Sprint(time.Now().UnixNano()),
		})
		r := b.wait(b.start(p))
		b.expect(r, run.Skipped)
	}
}
