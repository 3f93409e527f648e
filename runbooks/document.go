// Package runbooks is the language: documents, what they are checked for, which
// alerts they answer, and the plan that a run is given. It knows the contract of
// actions, never an action.
package runbooks

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/invopop/jsonschema"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks/matching"
	"github.com/runbook-engine/runbook/runbooks/parameter"
)

// Document is a runbook as written.
type Document struct {
	Runbook      string                     `json:"runbook" pattern:"^[a-z][a-z0-9-]{0,62}$" doc:"Name; unique in a set of documents."`
	Summary      string                     `json:"summary" min:"1" doc:"What it does about what, in one sentence."`
	Description  string                     `json:"description,omitempty" optional:"true" doc:"More for the person who reads it at night."`
	Owner        string                     `json:"owner,omitempty" optional:"true" doc:"Team that answers for it."`
	Triggers     []matching.Trigger         `json:"triggers,omitempty" optional:"true" doc:"Alerts that start it; any of these. Without one it runs by hand, or by a route label runbook=NAME."`
	Params       map[string]parameter.Param `json:"params,omitempty" optional:"true" doc:"Typed parameters, from the alert or from the terminal."`
	When         string                     `json:"when,omitempty" optional:"true" doc:"Condition for doing anything at all."`
	Autonomy     Autonomy                   `json:"autonomy" default:"{}" doc:"What it may do by itself."`
	Guards       Guards                     `json:"guards" default:"{}" doc:"What holds it back."`
	For          model.Duration             `json:"for,omitempty" optional:"true" max:"24h" doc:"How long the alert must have been firing, and still be, before anything is done."`
	HealthyDelay model.Duration             `json:"healthy_delay,omitempty" optional:"true" max:"24h" doc:"How long the alert must stay resolved before it counts as over. One that fires again within it is the same trouble."`
	HoldPage     model.Duration             `json:"hold_page,omitempty" optional:"true" min:"10s" max:"1h" doc:"Silence the alert while the run works, for at most this long. The silence ends with the run."`
	OnResolve    string                     `json:"on_resolve" default:"finish" enum:"cancel|finish|undo" doc:"What to do with a run whose alert resolves."`
	Steps        []Step                     `json:"steps,omitempty" optional:"true" min:"1" doc:"What is done, in order."`
	Remedies     []Remedy                   `json:"remedies,omitempty" optional:"true" min:"1" doc:"Instead of steps: remedies that are tried in order until the system is better."`
	Verify       *Check                     `json:"verify,omitempty" optional:"true" doc:"Is the system better? Decides the outcome."`
	Otherwise    []string                   `json:"otherwise,omitempty" optional:"true" enum:"undo|escalate" doc:"What to do when the system is not better."`
	Escalate     *Escalate                  `json:"escalate,omitempty" optional:"true" doc:"The alert that is raised when people must take over."`
}

// Level is what a runbook may do by itself.
type Level string

// The levels, from nothing to everything.
const (
	Off     Level = "off"     // alerts do not start it
	Propose Level = "propose" // says what it would do, and does nothing
	Approve Level = "approve" // asks a person first
	Auto    Level = "auto"    // acts
)

// Autonomy is a level and the proof it needs. `autonomy: auto` is short for
// `autonomy: {level: auto}`.
type Autonomy struct {
	Level Level  `json:"level" default:"propose" enum:"off|propose|approve|auto" doc:"off, propose (the default), approve or auto."`
	Proof *Proof `json:"proof,omitempty" optional:"true" doc:"Game day that it must have passed."`
}

// UnmarshalDocument reads both forms.
func (a *Autonomy) UnmarshalDocument(n *document.Node) diag.List {
	type long Autonomy
	if n.Kind == document.String {
		n = &document.Node{Kind: document.Map, At: n.At, Entries: []document.Entry{{Key: "level", At: n.At, Value: n}}}
	}
	n.Title = "autonomy"
	return document.Decode(n, (*long)(a))
}

// JSONSchema describes both forms.
func (Autonomy) JSONSchema() *jsonschema.Schema {
	type long Autonomy
	level := &jsonschema.Schema{Type: "string", Enum: []any{"off", "propose", "approve", "auto"}}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{level, schemaOf[long]()}}
}

// Proof says how fresh a passed game day must be.
type Proof struct {
	MaxAge model.Duration `json:"max_age" default:"30d" doc:"Age at which the proof no longer counts."`
}

// Guards hold a run back.
type Guards struct {
	Resource      string          `json:"resource,omitempty" optional:"true" doc:"What is locked for the run, across all runbooks and game days."`
	Cooldown      model.Duration  `json:"cooldown,omitempty" optional:"true" doc:"Pause after a run before the next on the same resource."`
	Rate          []ledger.Rate   `json:"rate,omitempty" optional:"true" doc:"Most runs in a window, such as 3/h or 7/d; all must hold."`
	RatePerTarget []ledger.Rate   `json:"rate_per_target,omitempty" optional:"true" doc:"Most attempts on one target in a window, whichever run makes them; all must hold."`
	MaxTargets    *MaxTargets     `json:"max_targets,omitempty" optional:"true" doc:"Most targets that one step may touch."`
	MinHealthy    *MinHealthy     `json:"min_healthy,omitempty" optional:"true" doc:"What must stay healthy of the population, counted just before acting."`
	MaxErrors     int             `json:"max_errors" default:"1" min:"1" doc:"Targets that may fail in a step; so many stop the rest."`
	Batch         *Batch          `json:"batch,omitempty" optional:"true" doc:"Targets are taken in batches, and counted again before each."`
	OnConflict    string          `json:"on_conflict,omitempty" optional:"true" enum:"queue|drop|replace" doc:"What a run does when the resource is held."`
	Approve       *ApprovalPolicy `json:"approve,omitempty" optional:"true" doc:"Whose consent a step needs."`
}

// MaxTargets is a blast radius.
type MaxTargets struct {
	Count   int     `json:"count,omitempty" optional:"true" min:"1" doc:"Targets at most."`
	Percent float64 `json:"percent,omitempty" optional:"true" min:"0.1" max:"100" doc:"Percent at most of the population."`
}

// MinHealthy is what a step must leave healthy: both must hold.
type MinHealthy struct {
	Count   int     `json:"count,omitempty" optional:"true" min:"1" doc:"Healthy targets at least."`
	Percent float64 `json:"percent,omitempty" optional:"true" min:"0.1" max:"100" doc:"Percent at least of the population."`
}

// Batch says how many targets at a time.
type Batch struct {
	Size    int            `json:"size,omitempty" optional:"true" min:"1" doc:"Targets in a batch."`
	Percent float64        `json:"percent,omitempty" optional:"true" min:"0.1" max:"100" doc:"Instead of size: percent of the targets, at least one."`
	Pause   model.Duration `json:"pause" default:"0s" max:"24h" doc:"Pause between two batches."`
}

// ApprovalPolicy says from which risk on a person is asked, and who.
type ApprovalPolicy struct {
	At        string         `json:"at" default:"destructive" enum:"reversible|disruptive|destructive" doc:"Risk from which consent is needed."`
	By        []string       `json:"by,omitempty" optional:"true" doc:"Roles that may consent."`
	Count     int            `json:"count" default:"1" min:"1" max:"10" doc:"How many different people must consent."`
	Within    model.Duration `json:"within" default:"10m" min:"1s" max:"7d" doc:"Time to answer."`
	Otherwise string         `json:"otherwise" default:"escalate" enum:"escalate|skip" doc:"What happens when nobody does."`
}

// Remedy is one attempt to make the system better. After it the runbook's own
// verify decides whether the next one is tried.
type Remedy struct {
	ID     string         `json:"id" pattern:"^[a-z][a-z0-9_]{0,62}$" doc:"Name in this runbook."`
	Doc    string         `json:"doc,omitempty" optional:"true" doc:"Why this remedy."`
	If     string         `json:"if,omitempty" optional:"true" doc:"Condition; the remedy is passed over when it is false."`
	Within model.Duration `json:"within,omitempty" optional:"true" min:"1s" max:"24h" doc:"Time for the remedy and its verification; after it the next one is tried."`
	Steps  []Step         `json:"steps" min:"1" doc:"What is done, in order."`
}

// AllSteps are the steps of the document, or of all its remedies, in order.
func (d *Document) AllSteps() []Step {
	if len(d.Remedies) == 0 {
		return d.Steps
	}
	var all []Step
	for _, r := range d.Remedies {
		all = append(all, r.Steps...)
	}
	return all
}

// Step is one use of an action.
type Step struct {
	ID         string          `json:"id" pattern:"^[a-z][a-z0-9_]{0,62}$" doc:"Name in this runbook."`
	Doc        string          `json:"doc,omitempty" optional:"true" doc:"Why this step."`
	Do         string          `json:"do" doc:"Action."`
	If         string          `json:"if,omitempty" optional:"true" doc:"Condition; the step is skipped when it is false."`
	With       document.Values `json:"with,omitempty" optional:"true" doc:"Parameters of the action."`
	AllowEmpty bool            `json:"allow_empty,omitempty" optional:"true" doc:"Finding nothing to act on is not an error."`
	Rollout    *Rollout        `json:"rollout,omitempty" optional:"true" doc:"Take the targets in stages, watch the system between them, and go back when it gets worse."`
	Verify     *Check          `json:"verify,omitempty" optional:"true" doc:"Did the step help?"`
}

// Check asks a probe until it gives the wanted answer.
type Check struct {
	Do     string          `json:"do" doc:"Probe: an action that only reads."`
	With   document.Values `json:"with,omitempty" optional:"true" doc:"Parameters of the probe."`
	Until  string          `json:"until" doc:"Condition over the probe's output, whose fields are in scope by name."`
	Worse  string          `json:"worse,omitempty" optional:"true" doc:"Condition over the same output that says, when the time is over, that the system has become worse."`
	Every  model.Duration  `json:"every" default:"2s" min:"100ms" max:"10m" doc:"Pause between two looks."`
	Within model.Duration  `json:"within" default:"1m" min:"1s" max:"24h" doc:"Time in which the condition must come true."`
	Hold   model.Duration  `json:"hold" default:"0s" max:"24h" doc:"Time for which it must then stay true."`
}

// Escalate is the alert that calls people.
type Escalate struct {
	Severity string `json:"severity" default:"page" pattern:"^[A-Za-z0-9_-]{1,63}$" doc:"Label severity of the alert; the team's own routes decide who hears it."`
	Summary  string `json:"summary" doc:"What people must know, may use ${…}."`
}

// Has reports whether `otherwise` names a measure.
func (d *Document) Has(otherwise string) bool { return slices.Contains(d.Otherwise, otherwise) }

// Resolve gives every parameter its value: what is set by hand, else what the
// alert has, else the default. All that is wrong is reported at once.
func (d *Document) Resolve(set map[string]any, alert *Alert) (document.Values, error) {
	if alert == nil {
		return parameter.Resolve(d.Params, set, nil)
	}
	return parameter.Resolve(d.Params, set, alert.find)
}

// Digest identifies the behaviour of the document: everything but the prose.
func (d *Document) Digest() string {
	bare := *d
	bare.Summary, bare.Description, bare.Owner = "", "", ""
	bare.Params = make(map[string]parameter.Param, len(d.Params))
	for name, p := range d.Params {
		p.Doc = ""
		bare.Params[name] = p
	}
	bare.Steps = bareSteps(d.Steps)
	bare.Remedies = append([]Remedy(nil), d.Remedies...)
	for i := range bare.Remedies {
		bare.Remedies[i].Doc, bare.Remedies[i].Steps = "", bareSteps(bare.Remedies[i].Steps)
	}
	b, err := json.Marshal(bare)
	if err != nil {
		panic(fmt.Sprintf("runbooks: digest of %s: %v", d.Runbook, err)) // plain data always marshals
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func bareSteps(steps []Step) []Step {
	bare := append([]Step(nil), steps...)
	for i := range bare {
		bare[i].Doc = ""
	}
	return bare
}
