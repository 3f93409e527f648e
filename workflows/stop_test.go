package workflows_test

import (
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

const slow = `
steps:
  - {id: light, do: lamp.light, with: {prefix: hall}}
  - {id: rest, do: pass, with: {for: 30s}}
  - {id: more, do: lamp.light, with: {prefix: attic}}
` + verified

func (b *bench) startSlow(policy string) (runbooks.Plan, string) {
	b.t.Helper()
	p := b.plan(head + "on_resolve: " + policy + slow)
	id := b.start(p)
	b.until(id, func(r run.Run) bool { return r.Steps[1].Status == run.Running })
	return p, id
}

func TestAPersonStopsARun(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	_, id := b.startSlow("finish")
	asked := time.Now()
	if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada", Reason: "I do it by hand"}); err != nil {
		t.Fatal(err)
	}
	r := b.wait(id)
	b.expect(r, run.Cancelled, "light hall")
	b.expectStep(r, "rest", run.Cancelled, "")
	b.expectStep(r, "more", run.Cancelled, "ada asked to stop: I do it by hand")
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada"}); err == nil {
		t.Error("a run that has ended was cancelled")
	}
}

func TestAPersonStopsARunAndTakesItBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	_, id := b.startSlow("finish")
	if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada", Undo: true}); err != nil {
		t.Fatal(err)
	}
	b.expect(b.wait(id), run.Cancelled, "light hall", "darken hall")
}

func TestACancellationInTemporalIsACancelledRun(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	_, id := b.startSlow("finish")
	if err := b.client.CancelWorkflow(t.Context(), runbooks.WorkflowID(id), ""); err != nil {
		t.Fatal(err)
	}
	b.expect(b.wait(id), run.Cancelled, "light hall")
}

func TestTheEndOfTheAlert(t *testing.T) {
	t.Parallel()
	for policy, c := range map[string]struct {
		outcome run.Outcome
		effects []string
	}{
		"cancel": {run.Cancelled, []string{"light hall"}},
		"undo":   {run.Cancelled, []string{"light hall", "darken hall"}},
	} {
		b := newBench(t, "hall", "attic")
		p, id := b.startSlow(policy)
		b.resolve(p)
		b.expect(b.wait(id), c.outcome, c.effects...)
	}
}

func TestARunMayFinishAfterItsAlert(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	p := b.plan(head + "on_resolve: finish" + `
steps:
  - {id: rest, do: pass, with: {for: 1s}}
  - {id: light, do: lamp.light, with: {prefix: hall}}
` + verified)
	id := b.start(p)
	b.until(id, func(r run.Run) bool { return r.Steps[0].Status == run.Running })
	b.resolve(p)
	b.expect(b.wait(id), run.Fixed, "light hall")
}

func (b *bench) resolve(p runbooks.Plan) {
	b.t.Helper()
	if _, err := b.runs.Resolve(b.t.Context(), p, time.Now()); err != nil {
		b.t.Fatal(err)
	}
}

func TestAFiringAfterItsResolveStartsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: hall}}]\n" + verified)
	b.resolve(p)
	started, err := b.runs.Start(t.Context(), p)
	if started || err != nil {
		t.Fatalf("started %v, %v", started, err)
	}
	b.expect(b.wait(p.RunID()), run.Skipped)
}

func TestOneRunAnEpisode(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall")
	p := b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: hall}}]\n" + verified)
	begun := make(chan bool, 10)
	for range cap(begun) {
		go func() {
			started, err := b.runs.Start(t.Context(), p)
			if err != nil {
				t.Error(err)
			}
			begun <- started
		}()
	}
	n := 0
	for range cap(begun) {
		if <-begun {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d runs for one episode", n)
	}
	b.expect(b.wait(p.RunID()), run.Fixed, "light hall")
	if started, err := b.runs.Start(t.Context(), p); started || err != nil {
		t.Errorf("an ended episode started again: %v, %v", started, err)
	}
}

func TestAnotherWorkerGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "attic")
	id := b.start(b.plan(head + `
steps:
  - {id: light, do: lamp.light, with: {prefix: hall}}
  - {id: rest, do: pass, with: {for: 3s}}
  - {id: more, do: lamp.light, with: {prefix: attic}}
verify: {do: lamp.count, until: value >= 2, every: 100ms, within: 5s, hold: 1s}
`))
	b.until(id, func(r run.Run) bool { return r.Steps[1].Status == run.Running })
	b.worker.Stop()
	b.work()
	b.expect(b.wait(id), run.Fixed, "light hall", "light attic")
}
