package workflows_test

import (
	"testing"

	"github.com/runbook-engine/runbook/internal/run"
)

// A run that only looks for longer than its lease lasts still has it for what it
// does next.
func TestALeaseIsKeptWhileARunLooks(t *testing.T) {
	light := "steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n"
	for name, c := range map[string]struct{ gate, doc string }{
		"a step":      {"count", "steps: [{id: look, do: lamp.count}, {id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified},
		"a selection": {"targets", light + verified},
		"a check":     {"count", light + "verify: {do: lamp.count, until: value >= 1, every: 100ms, within: 1m}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "hall")
			keeper := b.keepsLedger()
			gate := make(chan struct{})
			b.house.gates = map[string]chan struct{}{c.gate: gate}
			id := b.start(b.plan(head + c.doc))
			until := func() (at int64) {
				s, err := keeper.Snapshot(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, lease := range s.Leases {
					if lease.Run == id {
						at = lease.Until.UnixNano()
					}
				}
				return at
			}
			b.until(id, func(r run.Run) bool {
				return r.Phase == run.Verifying || name != "a check" && r.Steps[0].Status == run.Running
			})
			first := until()
			b.eventually("its lease is confirmed", func() bool { return until() > first })
			close(gate)
			if r := b.wait(id); r.Outcome != run.Fixed {
				t.Error(describe(r))
			}
		})
	}
}
