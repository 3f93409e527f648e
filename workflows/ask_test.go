package workflows_test

import (
	"testing"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

func TestADryRunTellsWhatTheSystemWouldRefuse(t *testing.T) {
	t.Parallel()
	b := newBench(t, "iron", "glass")
	p := b.plan(head + `
steps:
  - {id: glass, do: lamp.smash, with: {name: glass}}
  - {id: iron, do: lamp.smash, with: {name: iron}}
` + verified)
	p.Mode = runbooks.ModeDryRun
	r := b.wait(b.start(p))
	b.expect(r, run.Skipped)
	for i, want := range []string{"would run on 1 target", "would run on 1 target; it would fail now on 1: on lamp/iron: iron does not break"} {
		if got := r.Steps[i].Reason; got != want {
			t.Errorf("step %d says %q, want %q", i, got, want)
		}
	}
}
