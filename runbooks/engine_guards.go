package runbooks

import (
	"errors"
	"reflect"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// EngineGuards are what an engine asks of each run of each runbook, beside what
// the document says: the stricter of the two holds.
type EngineGuards struct {
	Cooldown      model.Duration  `json:"cooldown,omitempty" optional:"true" doc:"Pause after a run before the next of the same runbook on the same resource."`
	RatePerTarget []ledger.Rate   `json:"rate_per_target,omitempty" optional:"true" doc:"Most attempts on one target in a window, whichever run makes them; all must hold."`
	MaxTargets    *MaxTargets     `json:"max_targets,omitempty" optional:"true" doc:"Most targets that one step may touch. The percentage is for steps that choose among many."`
	MinHealthy    *MinHealthy     `json:"min_healthy,omitempty" optional:"true" doc:"What must stay healthy of the population, where what is chosen from can be healthy."`
	MaxErrors     int             `json:"max_errors,omitempty" optional:"true" min:"1" doc:"Targets that may fail in a step; so many stop the rest."`
	Approve       *ApprovalPolicy `json:"approve,omitempty" optional:"true" doc:"Whose consent a step needs, besides what the runbook asks for."`
}

// Empty reports that nothing is asked.
func (g EngineGuards) Empty() bool { return reflect.ValueOf(g).IsZero() }

// Check finds guards that could hold nothing back.
func (g EngineGuards) Check() error {
	if m := g.MaxTargets; m != nil && m.Count == 0 && m.Percent == 0 {
		return errors.New("max_targets needs count, percent or both")
	}
	if m := g.MinHealthy; m != nil && m.Count == 0 && m.Percent == 0 {
		return errors.New("min_healthy needs count, percent or both")
	}
	return nil
}

// Stricter is p, as strict as o where that is stricter; whose consent counts is
// left as it is.
func (p ApprovalPolicy) Stricter(o ApprovalPolicy) ApprovalPolicy {
	p.Count, p.Within = max(p.Count, o.Count), min(p.Within, o.Within)
	if o.Otherwise == "escalate" {
		p.Otherwise = o.Otherwise
	}
	return p
}
