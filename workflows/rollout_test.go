package workflows_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
)

const rollout = `
steps:
  - id: light
    do: lamp.light
    with: {prefix: ''}
    rollout: {size: 2, pause: 1s, watch: {do: lamp.count, expect: EXPECT, every: 100ms}, on_breach: BREACH}
verify: {do: lamp.count, until: value >= 5, every: 100ms, within: 1s}
`

func rollingOut(expect, breach string) string {
	return head + strings.NewReplacer("EXPECT", expect, "BREACH", breach).Replace(rollout)
}

// expectStages is expect for stages of two lamps, which are lit side by side.
func (b *bench) expectStages(r run.Run, outcome run.Outcome, effects ...string) {
	b.t.Helper()
	got := b.house.log()
	for i := 0; i+1 < len(got); i += 2 {
		if strings.HasPrefix(got[i+1], "light ") {
			slices.Sort(got[i : i+2])
		}
	}
	if r.Outcome != outcome || !slices.Equal(got, effects) {
		b.t.Errorf("%s with effects %q, want %s with %q: %s", r.Outcome, got, outcome, effects, describe(r))
	}
}

func TestARolloutGoesStageByStage(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "c", "d", "e")
	began := time.Now()
	r := b.do(rollingOut("value <= 5", "undo"))
	b.expectStages(r, run.Fixed, "light a", "light b", "light c", "light d", "light e")
	if took := time.Since(began); took < 3*time.Second {
		t.Errorf("three stages that are watched for 1s each took %s", took)
	}
}

func TestABreachRollsBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "c", "d", "e")
	r := b.do(rollingOut("value < 3", "undo"))
	b.expectStages(r, run.NotFixed, "light a", "light b", "light c", "light d", "darken d", "darken c", "darken b", "darken a")
	b.expectStep(r, "light", run.Failed, "the roll-out ends after 4 targets: value < 3 is no longer so; 1 of 5 targets untouched")
}

func TestABreachMayOnlyStop(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "c", "d", "e")
	r := b.do(rollingOut("value < 2", "stop"))
	b.expectStages(r, run.NotFixed, "light a", "light b")
	b.expectStep(r, "light", run.Failed, "3 of 5 targets untouched")
}

func TestWhatNobodyCanSeeIsRolledBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "c", "d", "e")
	b.house.broken = true
	r := b.do(rollingOut("value < 9", "undo"))
	b.expectStages(r, run.Unknown, "light a", "light b", "darken b", "darken a")
	b.expectStep(r, "light", run.Failed, "the meter does not answer")
}

func TestATargetThatFailsRollsBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "c", "d", "e")
	b.house.refuse["c"] = actions.Permanent(errors.New("no such fuse"))
	r := b.do(rollingOut("value < 9", "undo"))
	b.expectStep(r, "light", run.Failed, "no such fuse")
	if got := strings.Join(b.house.log(), ", "); !strings.HasSuffix(got, "darken b, darken a") {
		t.Errorf("effects %s", got)
	}
	for name, lit := range b.house.lamps {
		if lit {
			t.Errorf("lamp %s is left lit", name)
		}
	}
}

func TestAStoppedRolloutBeginsNoFurtherStage(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b", "c", "d", "e")
	p := b.plan(strings.Replace(rollingOut("value < 9", "undo"), "pause: 1s", "pause: 20s", 1) + "on_resolve: undo\n")
	id := b.start(p)
	b.until(id, func(r run.Run) bool { return len(r.Steps[0].Results) == 2 })
	b.resolve(p)
	r := b.wait(id)
	b.expectStages(r, run.Cancelled, "light a", "light b", "darken b", "darken a")
	b.expectStep(r, "light", run.Cancelled, "3 of 5 targets untouched")
}
