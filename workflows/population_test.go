package workflows_test

import (
	"testing"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/workflows"
)

func lightsOf(prefix, guards string) string {
	return head + "guards: {" + guards + "}\nsteps: [{id: light, do: lamp.light, with: {prefix: " + prefix + "}}]\n" + verified
}

// Two runs, each within its limit, do not exceed it together.
func TestTwoRunsOnOnePopulationKeepToItsLimitTogether(t *testing.T) {
	for name, guards := range map[string][2]string{
		"most":          {"max_targets: {percent: 50}", "max_targets: {percent: 50}"},
		"healthy":       {"min_healthy: {count: 1}", "min_healthy: {count: 2}"},
		"of the first":  {"max_targets: {percent: 50}", "max_targets: {percent: 100}"},
		"of the second": {"max_targets: {percent: 100}", "max_targets: {percent: 50}"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "a1", "a2", "b1", "c1")
			b.keepsLedger()
			gate := make(chan struct{})
			b.house.gates = map[string]chan struct{}{"a1": gate}
			first := b.start(b.plan(lightsOf("a", guards[0])))
			b.eventually("the first has begun", func() bool { return b.house.working() > 0 })
			second := b.do(lightsOf("b", guards[1]))
			b.expectStep(second, "light", run.Failed, "refused: guards.m")
			b.expectStep(second, "light", run.Failed, "with what "+first+" is at work on; 1 of 1 targets untouched")
			close(gate)
			if r := b.wait(first); r.Outcome != run.Fixed {
				t.Errorf("the first: %s", describe(r))
			}
			if r := b.do(lightsOf("b", guards[1])); r.Steps[0].Outcome != run.Done {
				t.Errorf("after the first: %s", describe(r))
			}
		})
	}
}

// A step that is over no longer counts, although its run goes on.
func TestAStepThatIsOverLeavesThePopulation(t *testing.T) {
	b := newBench(t, "a1", "b1")
	b.keepsLedger()
	first := b.start(b.plan(head + "guards: {max_targets: {count: 1}}\nsteps: [{id: light, do: lamp.light, with: {prefix: a}}, {id: pause, do: pass, with: {for: 10m}}]\n" + verified))
	b.until(first, func(r run.Run) bool { return r.Steps[1].Status == run.Running })
	if r := b.do(lightsOf("b", "max_targets: {count: 1}")); r.Steps[0].Outcome != run.Done {
		t.Errorf("beside a step that is over: %s", describe(r))
	}
	if err := b.runs.Cancel(t.Context(), first, workflows.CancelRequest{By: "ada"}); err != nil {
		t.Fatal(err)
	}
	b.wait(first)
}

// What an action calls its population goes before the place of the targets.
func TestAPopulationIsWhatTheActionCallsIt(t *testing.T) {
	b := newBench(t, "a1", "b1")
	b.keepsLedger()
	b.house.apart = true
	gate := make(chan struct{})
	b.house.gates = map[string]chan struct{}{"a1": gate}
	first := b.start(b.plan(lightsOf("a", "max_targets: {count: 1}")))
	b.eventually("the first has begun", func() bool { return b.house.working() > 0 })
	if r := b.do(lightsOf("b", "max_targets: {count: 1}")); r.Steps[0].Outcome != run.Done {
		t.Errorf("of another population: %s", describe(r))
	}
	close(gate)
	b.wait(first)
}

// Two populations that share targets are counted together, whatever they are
// called.
func TestPopulationsThatShareTargetsAreCountedTogether(t *testing.T) {
	b := newBench(t, "a1", "b1")
	b.keepsLedger()
	b.house.apart, b.house.members = true, true
	gate := make(chan struct{})
	b.house.gates = map[string]chan struct{}{"a1": gate}
	first := b.start(b.plan(lightsOf("a", "max_targets: {count: 1}")))
	b.eventually("the first has begun", func() bool { return b.house.working() > 0 })
	b.expectStep(b.do(lightsOf("b", "max_targets: {count: 1}")), "light", run.Failed, "allows 1 of lamps/b, and it would be 2, with what "+first+" is at work on")
	close(gate)
	b.wait(first)
}
