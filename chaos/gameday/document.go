// Package gameday is the language of game days: documents, what they are
// checked for, the plan that a drill is given, and the evidence that it gathers.
// It knows the contracts of faults, actions and runbooks, and none of them.
package gameday

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/document"
)

// Document is a game day as written.
type Document struct {
	Gameday     string       `json:"gameday" pattern:"^[a-z][a-z0-9-]{0,62}$" doc:"Name; unique in a set of documents."`
	Summary     string       `json:"summary,omitempty" optional:"true" doc:"What it tries, in one sentence."`
	Description string       `json:"description,omitempty" optional:"true" doc:"More for whoever reads the report."`
	Owner       string       `json:"owner,omitempty" optional:"true" doc:"Team that answers for it."`
	Proves      string       `json:"proves,omitempty" optional:"true" doc:"Runbook that a passed drill is a proof of."`
	Resource    string       `json:"resource,omitempty" optional:"true" pattern:"^[^\\s\\pC]{0,252}[^\\s\\pC/]$" doc:"What is locked for the drill, across all runbooks and game days. Not what the proven runbook locks: its run would wait for the end of the drill."`
	Scope       []string     `json:"scope,omitempty" optional:"true" doc:"Matchers of the alerts that are a real incident here, all of which must hold; such an alert stops the drill. Without it, every alert but the expected one."`
	Schedule    *Schedule    `json:"schedule,omitempty" optional:"true" doc:"When it runs by itself. Without it, by hand."`
	Steady      []Probe      `json:"steady" min:"1" doc:"What is true of a healthy system: before, at the end, and what the fault is seen by."`
	Faults      []Fault      `json:"faults" min:"1" doc:"What is injected."`
	Expect      Expect       `json:"expect" default:"{}" doc:"What must happen."`
	Limits      chaos.Limits `json:"limits" default:"{}" doc:"What faults may touch. What is not allowed is refused."`
	Control     Control      `json:"control" default:"{}" doc:"Runs that show that the drill itself tells the truth."`
	Hooks       Hooks        `json:"hooks" default:"{}" doc:"Who else is told at start, abort, heal and end."`
}

// Schedule says when a game day runs by itself.
type Schedule struct {
	Cron      string         `json:"cron" min:"1" doc:"Minute, hour, day of the month, month, day of the week." example:"0 10 * * TUE"`
	Timezone  string         `json:"timezone" default:"UTC" doc:"Zone that the hours are in." example:"Asia/Shanghai"`
	Jitter    model.Duration `json:"jitter" default:"0s" max:"24h" doc:"Starts up to this much later, by chance."`
	NotDuring []string       `json:"not_during,omitempty" optional:"true" doc:"Maintenance windows of the engine's config in which it does not start."`
	Overlap   string         `json:"overlap" default:"skip" enum:"skip|queue" doc:"When the one before is still running: leave it out, or start after it."`
	Catchup   model.Duration `json:"catchup" default:"1m" min:"10s" max:"24h" doc:"How late it may still start when the engine was down at its time. One that is later than that is reported as missed."`
}

// Probe looks at the system again and again.
type Probe struct {
	ID         string          `json:"id" pattern:"^[a-z][a-z0-9_]{0,62}$" doc:"Name in this game day."`
	Doc        string          `json:"doc,omitempty" optional:"true" doc:"Why this probe."`
	Do         string          `json:"do" doc:"Action that only reads."`
	With       document.Values `json:"with,omitempty" optional:"true" doc:"Parameters of the action."`
	Expect     string          `json:"expect" doc:"What is true while the system is well, over the action's output, whose fields are in scope by name."`
	NoAnswer   string          `json:"no_answer" default:"missing" enum:"missing|bad" doc:"What a look counts as that fails: missing tells nothing; bad is for a probe that asks the very system under test, where no answer is an answer."`
	Every      model.Duration  `json:"every" default:"1s" min:"100ms" max:"1m" doc:"Pause between two looks."`
	AbortAfter model.Duration  `json:"abort_after" default:"1m" min:"1s" max:"1h" doc:"The drill stops when this was not true for so long without a break."`
}

// Fault is one use of a fault.
type Fault struct {
	ID     string          `json:"id" pattern:"^[a-z][a-z0-9_]{0,62}$" doc:"Name in this game day."`
	Doc    string          `json:"doc,omitempty" optional:"true" doc:"Why this fault."`
	Inject string          `json:"inject" doc:"Fault."`
	With   document.Values `json:"with,omitempty" optional:"true" doc:"Parameters of the fault."`
	For    model.Duration  `json:"for,omitempty" optional:"true" min:"1s" max:"1h" doc:"How long it lasts at most. A fault that is over once it happened has none."`
	After  model.Duration  `json:"after,omitempty" optional:"true" max:"1h" doc:"How long after the first fault it begins; 0 begins with it."`
}

// Expect is what must happen. Each `within` is a limit; what is slower than an
// `aim` and within the limit makes the verdict degraded.
type Expect struct {
	Alert     *Alerting   `json:"alert,omitempty" optional:"true" doc:"The alert that must reach the engine."`
	Runbook   *Remedying  `json:"runbook,omitempty" optional:"true" doc:"What the run of the proven runbook must come to."`
	Recovered *Recovering `json:"recovered,omitempty" optional:"true" doc:"How the system must become well again."`
	Silent    []string    `json:"silent,omitempty" optional:"true" doc:"Matchers of labels. No alert that meets one of them may fire."`
}

// Alerting is the alert that must come.
type Alerting struct {
	Matchers []string       `json:"matchers" min:"1" doc:"Alertmanager's matchers; all must hold."`
	Within   model.Duration `json:"within" default:"1m" min:"1s" max:"1h" doc:"From the fault taking effect to the webhook."`
	Aim      model.Duration `json:"aim,omitempty" optional:"true" min:"1s" doc:"Slower than this is degraded."`
}

// Remedying is what the run of the proven runbook must come to.
type Remedying struct {
	Outcome  string         `json:"outcome" default:"fixed" enum:"fixed|not_fixed|skipped" doc:"How the run must end."`
	Steps    []string       `json:"steps,omitempty" optional:"true" doc:"Steps that must have been done, whatever else was."`
	Within   model.Duration `json:"within" default:"1m" min:"1s" max:"1h" doc:"From the webhook to the first action."`
	Aim      model.Duration `json:"aim,omitempty" optional:"true" min:"1s" doc:"Slower than this is degraded."`
	Replaces bool           `json:"replaces" default:"false" doc:"The runbook's remedy is to replace the targets, so that new ones are no escape from the fault."`
}

// Recovering is how the system must become well again.
type Recovering struct {
	Probe   string         `json:"probe,omitempty" optional:"true" doc:"Steady probe that tells it; without it the first one."`
	Within  model.Duration `json:"within" default:"2m" min:"1s" max:"1h" doc:"From the fault taking effect to the first look that is good again and stays so."`
	Aim     model.Duration `json:"aim,omitempty" optional:"true" min:"1s" doc:"Slower than this is degraded."`
	Hold    model.Duration `json:"hold" default:"5s" min:"1s" max:"10m" doc:"How long it must stay good to count."`
	Because Because        `json:"because,omitempty" optional:"true" enum:"runbook|itself|fault_expired|replacement|human" doc:"Why it must have recovered; with a proven runbook that is the reason, unless this says otherwise."`
}

// Because is why a system recovered.
type Because string

// The reasons for a recovery.
const (
	ByRunbook     Because = "runbook"       // the proven runbook did it, while the fault was on
	ByItself      Because = "itself"        // before anything was done
	ByExpiry      Because = "fault_expired" // the fault was over
	ByReplacement Because = "replacement"   // the targets are other ones: it escaped the fault
	ByHuman       Because = "human"         // somebody had a hand in it
	ByUnknown     Because = "unknown"       // nobody can tell
)

// Control says which further runs show that the drill tells the truth.
type Control struct {
	NoFault  bool `json:"no_fault" default:"false" doc:"With --controls also run without the faults: nothing may fire, and nothing may act."`
	NoRemedy bool `json:"no_remedy" default:"false" doc:"With --controls also run without the runbook: the system must not recover."`
}

// Hooks are who else is told. A hook that fails is reported, and stops nothing.
type Hooks struct {
	Grafana string `json:"grafana,omitempty" optional:"true" connection:"http" doc:"Connection to a Grafana, which gets annotations."`
	Webhook string `json:"webhook,omitempty" optional:"true" connection:"http" doc:"Connection that events are posted to as JSON."`
}

// Digest identifies what the game day does: everything but the prose and the
// schedule.
func (d *Document) Digest() string {
	bare := *d
	bare.Summary, bare.Description, bare.Owner, bare.Schedule = "", "", "", nil
	bare.Steady = append([]Probe(nil), d.Steady...)
	for i := range bare.Steady {
		bare.Steady[i].Doc = ""
	}
	bare.Faults = append([]Fault(nil), d.Faults...)
	for i := range bare.Faults {
		bare.Faults[i].Doc = ""
	}
	b, err := json.Marshal(bare)
	if err != nil {
		panic(fmt.Sprintf("gameday: digest of %s: %v", d.Gameday, err)) // plain data always marshals
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}
