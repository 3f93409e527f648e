package workflows_test

import (
	"context"
	"testing"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// slowProof is a ledger whose proof takes so long that somebody halts meanwhile.
type slowProof struct {
	workflows.Ledger
	meanwhile func()
}

func (s slowProof) Hold(ctx context.Context, runID string, token int64) (context.Context, func() error, error) {
	held, stop, err := s.Ledger.Hold(ctx, runID, token)
	s.meanwhile()
	return held, stop, err
}

func TestAHaltBetweenTheProofAndTheEffectHolds(t *testing.T) {
	b := newBench(t, "hall")
	b.ledger = slowProof{b.keepsLedger(), func() { b.halted.CompareAndSwap(nil, "halted by ada") }}
	b.again()
	// It is tried once only, and this was no try.
	id := b.start(b.plan(head + "steps: [{id: light, do: lamp.smash, with: {name: hall}}]\n" + verified))
	b.until(id, func(r run.Run) bool { return r.Halted != "" || r.Status == run.Ended })
	if got := b.house.log(); len(got) != 0 {
		t.Errorf("halted, and yet %v", got)
	}
	b.halted.Store("")
	b.expect(b.wait(id), run.Fixed, "light hall")
}

func TestPeopleCanLookWhileTheEngineIsHalted(t *testing.T) {
	b := newBench(t, "hall")
	b.halted.Store("halted by ada")
	p := b.plan(head + "steps: [{id: look, do: lamp.count}, {id: light, do: lamp.smash, with: {name: hall}}]\n" + verified)
	p.Mode = runbooks.ModeDryRun
	r := b.wait(b.start(p))
	b.expectStep(r, "look", run.Done, "")
	if !r.Steps[1].WouldRun {
		t.Errorf("the plan is not whole: %s", describe(r))
	}
}
