package runbooks

import "slices"

// Outcomes of a step, as conditions see them in steps.ID.outcome.
const (
	outcomeDone      = "done"      // it ran, and has no verify
	outcomeFixed     = "fixed"     // its verify came true
	outcomeNotFixed  = "not_fixed" // its verify did not
	outcomeWorse     = "worse"     // the system has become worse, as its verify says
	outcomeUnknown   = "unknown"   // nobody can tell, or whether it happened at all
	outcomeFailed    = "failed"    // it did not run through
	outcomeSkipped   = "skipped"   // it did not have to run
	outcomeCancelled = "cancelled" // the run was stopped
)

var stepOutcomes = []string{
	outcomeDone, outcomeFixed, outcomeNotFixed, outcomeWorse, outcomeUnknown, outcomeFailed, outcomeSkipped, outcomeCancelled,
}

// failure is why the steps after it are left out.
func (f Facts) failure() string {
	if f.Outcome == outcomeWorse {
		return "made it worse"
	}
	return "failed"
}

// outcomes are those that the step can have.
func (s Step) outcomes() []string {
	if s.Verify == nil {
		return []string{outcomeDone, outcomeUnknown, outcomeFailed, outcomeSkipped, outcomeCancelled}
	}
	return slices.DeleteFunc(slices.Clone(stepOutcomes), func(outcome string) bool {
		return outcome == outcomeDone || outcome == outcomeWorse && s.Verify.Worse == ""
	})
}
