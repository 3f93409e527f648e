package gameday

import (
	"encoding/json"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
)

// ControlRun is a drill with a part left out, to see that the verdict depends on
// that part.
type ControlRun string

// The control runs; "" is the game day itself.
const (
	NoFault  ControlRun = "no_fault"  // nothing is injected: nothing may happen
	NoRemedy ControlRun = "no_remedy" // the runbook is kept from acting: no recovery
)

// Plan is the input of a drill: everything it needs, resolved. Editing a document
// does not change a drill under way, and the history says what ran.
type Plan struct {
	Gameday string     `json:"gameday"`
	Digest  string     `json:"digest"` // of the document
	Summary string     `json:"summary,omitempty"`
	Owner   string     `json:"owner,omitempty"`
	Control ControlRun `json:"control,omitempty"`
	// Controls are the control runs that the document asks for beside this drill.
	Controls []ControlRun `json:"controls,omitempty"`

	// Proves is the runbook that the drill is about, as it was when the drill was
	// planned; nil when there is none.
	Proves   *Proven      `json:"proves,omitempty"`
	Resource string       `json:"resource,omitempty"`
	Scope    []string     `json:"scope,omitempty"`
	Steady   []PlanProbe  `json:"steady"`
	Faults   []PlanFault  `json:"faults"`
	Expect   Expect       `json:"expect"`
	Limits   chaos.Limits `json:"limits"`
	Hooks    Hooks        `json:"hooks"`
	// NotDuring are the maintenance windows in which the drill does not start by
	// itself.
	NotDuring []string `json:"not_during,omitempty"`

	// Watch is how long, from the first injection, the drill is watched at most.
	// Then everything is healed, whatever has been seen.
	Watch model.Duration `json:"watch"`
}

// Proven is a version of a runbook.
type Proven struct {
	Runbook string `json:"runbook"`
	Digest  string `json:"digest"`
}

// PlanProbe is a probe with its parameters filled in.
type PlanProbe struct {
	ID         string          `json:"id"`
	Do         string          `json:"do"`
	With       json.RawMessage `json:"with"`
	Expect     string          `json:"expect"`
	NoAnswer   State           `json:"no_answer"` // of a look that fails: missing or bad
	Every      model.Duration  `json:"every"`
	AbortAfter model.Duration  `json:"abort_after"`
	Limit      model.Duration  `json:"limit"` // how long one look may take
}

// PlanFault is a fault with its parameters filled in.
type PlanFault struct {
	ID      string          `json:"id"`
	Inject  string          `json:"inject"`
	With    json.RawMessage `json:"with"`
	For     model.Duration  `json:"for,omitempty"`
	After   model.Duration  `json:"after,omitempty"`
	OneShot bool            `json:"one_shot,omitempty"`
	Yields  bool            `json:"yields,omitempty"` // others than the injector can end it
}

// RecoveryProbe is the id of the probe that tells when the system is well again.
func (p *Plan) RecoveryProbe() string {
	if r := p.Expect.Recovered; r != nil && r.Probe != "" {
		return r.Probe
	}
	if len(p.Steady) == 0 {
		return ""
	}
	return p.Steady[0].ID
}

// Probe finds a probe.
func (p *Plan) Probe(id string) (PlanProbe, bool) {
	for _, probe := range p.Steady {
		if probe.ID == id {
			return probe, true
		}
	}
	return PlanProbe{}, false
}

// Because is why the system must recover; "" when the drill does not ask.
func (p *Plan) Because() Because {
	r := p.Expect.Recovered
	switch {
	case r == nil:
		return ""
	case r.Because == "" && p.Proves != nil:
		return ByRunbook
	}
	return r.Because
}
