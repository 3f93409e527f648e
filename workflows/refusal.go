package workflows

import (
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
)

// Guards that a step meets, beside those of the ledger and GuardApproval.
const (
	GuardTargets = "targets"    // max_targets, min_healthy
	GuardRole    = "role"       // the targets that whoever asked is limited to
	GuardErrors  = "max_errors" // targets that may fail
	GuardRollout = "rollout"    // what is watched between two stages
	GuardLedger  = "ledger"     // without its word nothing is done
)

// refusedBy notes which guard it was, where one refuses.
func (r *remediation) refusedBy(i int, guard ledger.Guard, refusal string) string {
	if refusal != "" {
		r.run.Steps[i].Guard = guard
	}
	return refusal
}

// refused marks what a guard said.
func refused(reason string) string {
	if reason == "" {
		return ""
	}
	return "refused: " + reason
}

// refusal is the first of some steps that a guard kept from acting, where nothing
// else went wrong with them; else nil. It is asked where they changed nothing.
func (r *remediation) refusal(from, to int) (first *run.Step) {
	for i := from; i < to; i++ {
		s := &r.run.Steps[i]
		switch {
		case s.Outcome != run.Failed:
		case s.Guard == "":
			return nil
		case first == nil:
			first = s
		}
	}
	return first
}

// leftAlone reports that a guard kept the run from acting, and that thereby
// nobody answers its alert: no other run, and no person who has decided so.
func (r *remediation) leftAlone() bool {
	if r.run.Outcome != run.Skipped || r.plan.Alert == nil || r.alertOver {
		return false
	}
	switch r.guard() {
	case ledger.GuardCooldown, ledger.GuardRate, ledger.GuardQueue, ledger.GuardPopulation, GuardTargets, GuardRole, GuardLedger:
		return true
	}
	return false
}

// guard is what kept the run from acting at all, or "".
func (r *remediation) guard() ledger.Guard {
	if a := r.run.Admission; a != nil && a.State == ledger.Refused {
		return a.Guard
	}
	if s := r.refusal(0, len(r.run.Steps)); s != nil {
		return s.Guard
	}
	return ""
}
