package runbooks

// Outcomes of a step, as conditions see them in steps.ID.outcome.
const (
	outcomeDone      = "done"      // it ran, and has no verify
	outcomeFixed     = "fixed"     // its verify came true
	outcomeNotFixed  = "not_fixed" // its verify did not
	outcomeUnknown   = "unknown"   // nobody can tell, or whether it happened at all
	outcomeFailed    = "failed"    // it did not run through
	outcomeSkipped   = "skipped"   // it did not have to run
	outcomeCancelled = "cancelled" // the run was stopped
)

var stepOutcomes = []string{
	outcomeDone, outcomeFixed, outcomeNotFixed, outcomeUnknown, outcomeFailed, outcomeSkipped, outcomeCancelled,
}

// outcomes are those that the step can have.
func (s Step) outcomes() []string {
	if s.Verify == nil {
		return []string{outcomeDone, outcomeUnknown, outcomeFailed, outcomeSkipped, outcomeCancelled}
	}
	return stepOutcomes[1:]
}
