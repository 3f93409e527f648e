package workflows_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// acts waits for the first effect.
func (b *bench) acts() {
	b.t.Helper()
	b.eventually("something is done", func() bool { return len(b.house.log()) > 0 })
}

func (b *bench) eventually(what string, check func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !check(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("not so: %s", what)
		}
	}
}

func TestTheKillSwitchStopsBetweenStepsAndTargets(t *testing.T) {
	t.Parallel()
	t.Run("before the run acts", func(t *testing.T) {
		b := newBench(t, "hall")
		b.halted.Store("halted by ada: a test")
		id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified))
		b.until(id, func(r run.Run) bool { return strings.Contains(describe(r), "queued by halt: halted by ada: a test") })
		b.halted.Store("")
		b.expect(b.wait(id), run.Fixed, "light hall")
	})
	t.Run("between targets", func(t *testing.T) {
		lamps := []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"}
		b := newBench(t, lamps...)
		b.house.pause = 500 * time.Millisecond
		id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: a}}]\nverify: {do: lamp.count, until: value >= 9, every: 100ms, within: 1s}\n"))
		b.acts()
		b.halted.Store("halted by ada: a test")
		r := b.until(id, func(r run.Run) bool { return r.Halted != "" })
		b.eventually("those that had begun have ended", func() bool { return b.house.working() == 0 })
		before := len(b.house.log())
		time.Sleep(500 * time.Millisecond)
		if after := len(b.house.log()); after != before || after == len(lamps) {
			t.Errorf("%d effects while halted, %d before: %s", after, before, describe(r))
		}
		b.halted.Store("")
		if r := b.wait(id); r.Outcome != run.Fixed || len(b.house.log()) != len(lamps) {
			t.Errorf("did not go on: %s", describe(r))
		}
	})
	t.Run("a halted run can be cancelled", func(t *testing.T) {
		b := newBench(t, "hall")
		b.halted.Store("halted by ada: a test")
		id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified))
		b.until(id, func(r run.Run) bool { return r.Admission != nil })
		if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada"}); err != nil {
			t.Fatal(err)
		}
		b.expect(b.wait(id), run.Skipped)
	})
}

const remedies = head + `
remedies:
  - id: gentle
    within: 3s
    steps: [{id: light, do: lamp.light, with: {prefix: ha}}]
  - id: rough
    if: steps.light.outcome == "done"
    steps: [{id: smash, do: lamp.smash, with: {name: attic}}]
  - id: never
    steps: [{id: more, do: lamp.light, with: {prefix: cellar}}]
`

func TestRemediesAreTriedInOrderUntilOneHelps(t *testing.T) {
	t.Parallel()
	t.Run("the second helps", func(t *testing.T) {
		b := newBench(t, "hall", "attic", "cellar")
		r := b.do(remedies + "verify: {do: lamp.count, until: value >= 2, every: 100ms, within: 1s}\n")
		b.expect(r, run.Fixed, "light hall", "light attic")
		if got := []run.Outcome{r.Remedies[0].Outcome, r.Remedies[1].Outcome, r.Remedies[2].Outcome}; got[0] != run.NotFixed || got[1] != run.Fixed || got[2] != run.Skipped {
			t.Errorf("remedies: %+v", r.Remedies)
		}
	})
	t.Run("none helps", func(t *testing.T) {
		b := newBench(t, "hall", "attic", "cellar")
		r := b.do(remedies + "verify: {do: lamp.count, until: value >= 9, every: 100ms, within: 1s}\notherwise: [undo, escalate]\nescalate: {severity: page, summary: dark}\n")
		b.expect(r, run.NotFixed, "light hall", "light attic", "light cellar", "darken cellar", "darken hall")
		if len(b.told(workflows.EscalationAlert)) != 1 {
			t.Error("nobody was told")
		}
	})
	t.Run("the first makes it worse", func(t *testing.T) {
		b := newBench(t, "hall", "attic", "cellar")
		r := b.do(remedies + "verify: {do: lamp.count, until: value >= 2, worse: value >= 1, every: 100ms, within: 1s}\notherwise: [undo, escalate]\nescalate: {severity: page, summary: dark}\n")
		b.expect(r, run.Worse, "light hall", "darken hall")
		if r.Remedies[0].Outcome != run.Worse || r.Remedies[1].Outcome != run.Skipped {
			t.Errorf("remedies: %+v", r.Remedies)
		}
		if len(b.told(workflows.EscalationAlert)) != 1 {
			t.Error("nobody was told")
		}
	})
	t.Run("nobody can tell whether the first helped", func(t *testing.T) {
		b := newBench(t, "hall", "attic", "cellar")
		b.house.broken = true
		r := b.do(remedies + "verify: {do: lamp.count, until: value >= 1, every: 100ms, within: 1s}\n")
		b.expect(r, run.Unknown, "light hall")
	})
	t.Run("the time of the first is over", func(t *testing.T) {
		b := newBench(t, "hall", "attic", "cellar")
		began := time.Now()
		r := b.do(remedies + "verify: {do: lamp.count, until: value >= 2, every: 100ms, within: 1m}\n")
		b.expect(r, run.Fixed, "light hall", "light attic")
		if took := time.Since(began); took > 45*time.Second {
			t.Errorf("the first remedy had 3s, and all took %s", took)
		}
	})
}

func TestBatchesAreCountedAgain(t *testing.T) {
	t.Parallel()
	const doc = head + "guards: {%}\nsteps: [{id: light, do: lamp.light, with: {prefix: a}}]\nverify: {do: lamp.count, until: value >= 1, every: 100ms, within: 1s}\n"
	guard := func(text string) string { return strings.Replace(doc, "%", text, 1) }
	t.Run("what is no longer selected is left out", func(t *testing.T) {
		b := newBench(t, "a1", "a2", "a3")
		id := b.start(b.plan(guard("batch: {size: 1, pause: 1s}")))
		b.acts()
		b.house.set(func() { delete(b.house.lamps, "a2") })
		r := b.wait(id)
		b.expect(r, run.Fixed, "light a1", "light a3")
		b.expectStep(r, "light", run.Done, "")
	})
	t.Run("a population that shrinks stops the rest", func(t *testing.T) {
		b := newBench(t, "a1", "a2", "b1", "b2")
		id := b.start(b.plan(guard("batch: {size: 1, pause: 1s}, max_targets: {percent: 50}")))
		b.acts()
		b.house.set(func() { delete(b.house.lamps, "b1") })
		r := b.wait(id)
		b.expect(r, run.Fixed, "light a1")
		b.expectStep(r, "light", run.Failed, "allows 50 %")
	})
	for limit, want := range map[string]string{
		"min_healthy: {count: 2}, batch: {size: 1}": "",
		"min_healthy: {count: 3}, batch: {size: 1}": "asks for 3",
		"min_healthy: {count: 1}":                   "",
		"min_healthy: {percent: 34}":                "asks for 34 %",
		"min_healthy: {percent: 33}":                "",
	} {
		b := newBench(t, "a1", "a2", "b1")
		r := b.do(guard(limit))
		if refused := r.Outcome != run.Fixed; refused != (want != "") || !strings.Contains(describe(r), want) {
			t.Errorf("%s: %s", limit, describe(r))
		}
	}
	t.Run("of nothing there is no batch", func(t *testing.T) {
		b := newBench(t, "b1")
		b.expectStep(b.do(guard("batch: {percent: 10}")), "light", run.Failed, "the selection is empty")
	})
	t.Run("what is unhealthy already takes nothing away", func(t *testing.T) {
		b := newBench(t, "a1", "b1")
		b.house.sick["a1"] = true
		b.expect(b.do(guard("min_healthy: {count: 1}")), run.Fixed, "light a1")
	})
}

func TestSoManyErrorsStopTheRest(t *testing.T) {
	t.Parallel()
	for limit, untouched := range map[string]string{"1": "a3, a4", "2": "a4"} {
		b := newBench(t, "a1", "a2", "a3", "a4")
		for _, name := range []string{"a1", "a2", "a3"} {
			b.house.refuse[name] = actions.Permanent(errors.New("no fuse"))
		}
		r := b.do(head + "guards: {max_errors: " + limit + ", batch: {size: 1}}\nsteps: [{id: light, do: lamp.light, with: {prefix: a}}]\n" + verified)
		want := map[string]int{"1": 1, "2": 2}[limit]
		if got := len(r.Steps[0].Results); got != want {
			t.Errorf("max_errors %s: %d targets were tried, want %d (untouched %s): %s", limit, got, want, untouched, describe(r))
		}
	}
}

func TestThePageIsHeldWhileTheRunWorksAndNoLonger(t *testing.T) {
	t.Parallel()
	doc := head + "hold_page: 1m\nsteps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n"
	const held = `hush 1m alertname="Dark",room="hall",severity="critical"; unhush`
	for name, end := range map[string]string{
		"fixed": verified, "not fixed": "verify: {do: lamp.count, until: value >= 9, every: 100ms, within: 1s}\n",
	} {
		b := newBench(t, "hall")
		b.do(doc + end)
		if got := b.house.silences(); got != held {
			t.Errorf("%s: %s", name, got)
		}
	}
	b := newBench(t, "hall")
	b.house.pause = time.Second
	id := b.start(b.plan(doc + verified))
	b.until(id, func(r run.Run) bool { return r.Phase == run.Acting })
	if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada"}); err != nil {
		t.Fatal(err)
	}
	b.wait(id)
	if got := b.house.silences(); got != held {
		t.Errorf("cancelled: %s", got)
	}
}

func TestAnAlertWhoseLabelsWereCutIsNotSilenced(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(head + "hold_page: 1m\nsteps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified)
	p.Alert.Labels["query"] = strings.Repeat("x", 5<<10)
	*p.Alert = p.Alert.Bounded()
	r := b.wait(b.start(p))
	b.expect(r, run.Fixed, "light hall")
	if got := b.house.silences(); got != "" || !strings.Contains(describe(r), "too long to keep") {
		t.Errorf("%s: %s", got, describe(r))
	}
}

// Those that are one cluster share a silence, others do not, and nobody knows
// which are which.
func TestThePageIsHeldAndReleasedInEveryAlertmanager(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	b.alertmanagers, b.house.deaf = []string{"east", "west"}, "west"
	b.again()
	r := b.do(head + "hold_page: 1m\nsteps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified)
	b.expect(r, run.Fixed, "light hall")
	for _, want := range []string{"the page is held in east", "the page can not be held in west: ", "the page is released in east", "the page is released in west"} {
		if !strings.Contains(describe(r), want) {
			t.Errorf("%q is not in %s", want, describe(r))
		}
	}
	if got := b.house.silences(); !strings.Contains(got, "; unhush east") || !strings.Contains(got, "; unhush west") {
		t.Errorf("released: %s", got)
	}
}

func TestAnAlertThatFlapsIsTheSameTrouble(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	p := b.plan(head + "on_resolve: cancel\nhealthy_delay: 3s\nsteps: [{id: pause, do: pass, with: {for: 5s}}, {id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified)
	id := b.start(p)
	b.resolve(p)
	b.until(id, func(r run.Run) bool { return strings.Contains(describe(r), "counts as over when") })
	if err := b.client.SignalWorkflow(t.Context(), runbooks.WorkflowID(id), "", workflows.SignalFiring, workflows.Relapse{StartsAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
	b.expect(b.wait(id), run.Fixed, "light hall")
}

func TestAnUndoWaitsForTheEndOfAHalt(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}, {id: pause, do: pass, with: {for: 30s}}]\n" + verified))
	b.acts()
	b.halted.Store("halted by ada: a test")
	if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada", Undo: true}); err != nil {
		t.Fatal(err)
	}
	b.until(id, func(r run.Run) bool { return r.Halted != "" })
	b.halted.Store("")
	b.expect(b.wait(id), run.Cancelled, "light hall", "darken hall")
}

// A run that can not be recorded does nothing, and is not lost.
func TestWithoutADecisionTheRunWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	b.worker.Stop()
	folder := filepath.Join(t.TempDir(), "audit")
	var err error
	if b.audit, err = audit.Open(filepath.Join(folder, "audit.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	b.work()
	id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified))
	b.until(id, func(r run.Run) bool { return strings.Contains(describe(r), "can not decide: write audit entry") })
	if effects := b.house.log(); len(effects) > 0 {
		t.Errorf("done without a record: %v", effects)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	b.expect(b.wait(id), run.Fixed, "light hall")
	text, err := os.ReadFile(filepath.Join(folder, "audit.jsonl"))
	if err != nil || !strings.Contains(string(text), `"kind":"run_started"`) {
		t.Errorf("the start is not recorded: %s, %v", text, err)
	}
}
