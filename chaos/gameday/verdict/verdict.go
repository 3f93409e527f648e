// Package verdict says what a drill has shown, from its plan and its evidence
// alone. It knows no clock and asks nobody; docs/verdicts.md is its rules in a
// table. What is missing never counts for the better.
package verdict

import (
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// Name is a verdict in one word.
type Name string

// The verdicts.
const (
	Passed       Name = "passed"       // everything that was expected was seen
	Degraded     Name = "degraded"     // it was, but not as well as aimed at
	Failed       Name = "failed"       // something expected was seen not to happen
	Inconclusive Name = "inconclusive" // nobody can tell
	Aborted      Name = "aborted"      // stopped before it could tell
	HealFailed   Name = "heal_failed"  // it is not proven that the system is as it was
)

// decides reports that a verdict speaks for the runbook acting by itself, or
// against it. A degraded one does neither.
func (n Name) decides() bool { return n == Passed || n == Failed || n == HealFailed }

// Verdict is what a drill has shown.
type Verdict struct {
	Verdict Name     `json:"verdict"`
	Reasons []Reason `json:"reasons"` // the first decided; there is always one
	// Because is why the system recovered, whatever the verdict; "" when it was not
	// seen to.
	Because gameday.Because `json:"because,omitempty"`
	// Proof is set when the verdict decides whether the proven runbook may act by
	// itself, so that it is to be recorded. A control run proves nothing.
	Proof    bool    `json:"proof"`
	Timeline []Edge  `json:"timeline"`
	Figures  Figures `json:"figures"`
}

// Reason is one finding. Code is of a closed set, which docs/verdicts.md lists.
type Reason struct {
	Code string    `json:"code"`
	Text string    `json:"text"`
	At   time.Time `json:"at,omitzero"`
}

// Edge is one moment of the timeline.
type Edge struct {
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	Source string    `json:"source"` // who saw it
	// Foreign is set for a time of another clock, which is shown and not compared.
	Foreign bool `json:"foreign,omitempty"`
}

// Figures are how long things took; what is not known is absent.
type Figures struct {
	TimeToDetect      *model.Duration `json:"time_to_detect,omitempty"`     // fault effective → webhook
	AlertmanagerShare *model.Duration `json:"alertmanager_share,omitempty"` // of that: alert in Alertmanager → webhook
	TimeToAct         *model.Duration `json:"time_to_act,omitempty"`        // webhook → first action of the run
	TimeToRecover     *model.Duration `json:"time_to_recover,omitempty"`    // fault effective → system well again
	TimeToHeal        *model.Duration `json:"time_to_heal,omitempty"`       // heal issued → healing read back
}
