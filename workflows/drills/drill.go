// Package drills carries out game days on Temporal: it injects faults, watches
// what the alerts, the runbooks and the system make of them, heals whatever
// comes, and keeps the evidence for the verdict. What a drill may do is in its
// plan; what it has shown, package verdict says.
package drills

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/runbooks"
)

// Names by which a drill is reached.
const (
	Type         = "GameDay"
	QueryDrill   = "drill"  // gives Drill
	SignalSeen   = "seen"   // an alert came by the webhook: Seen
	SignalAttend = "attend" // an engine reports its alerts from now on: a name that no other process has
	SignalAbort  = "abort"  // a person stops the drill: Stop
	SignalSettle = "settle" // a person has healed by hand what the drill could not: Stop
)

const prefix = "gameday/"

// WorkflowID is the id of the workflow of a drill.
func WorkflowID(id string) string { return prefix + id }

// IDOf is the reverse of WorkflowID.
func IDOf(workflowID string) (string, bool) { return strings.CutPrefix(workflowID, prefix) }

// BySchedule is who asks for a drill that nobody asked for.
const BySchedule = "schedule"

// NewID names a drill that is asked for now.
func NewID(gameday string, now time.Time) string {
	return gameday + "." + now.UTC().Format("20060102-150405.000")
}

// Request asks for a drill. A plan makes it independent of the documents of the
// engine; without one, the game day of this name is planned when it starts.
type Request struct {
	ID      string             `json:"id,omitempty"` // made by the workflow when a schedule asks
	Gameday string             `json:"gameday"`
	Plan    *gameday.Plan      `json:"plan,omitempty"`
	Control gameday.ControlRun `json:"control,omitempty"`
	By      string             `json:"by"`
}

// Phase is what a drill does.
type Phase string

// The phases, in order.
const (
	Planning   Phase = "planning"
	Preflight  Phase = "preflight"
	Baseline   Phase = "baseline"
	Injecting  Phase = "injecting"
	Watching   Phase = "watching"
	Healing    Phase = "healing"
	Settling   Phase = "settling" // the system must be as it was
	Concluding Phase = "concluding"
	Ended      Phase = "ended"
)

// Drill is the state of one execution of a game day, and in the end its result.
type Drill struct {
	ID        string           `json:"id"`
	Gameday   string           `json:"gameday"`
	By        string           `json:"by"`
	Phase     Phase            `json:"phase"`
	StartedAt time.Time        `json:"started_at"`
	EndedAt   time.Time        `json:"ended_at,omitzero"`
	Plan      gameday.Plan     `json:"plan"`
	Evidence  gameday.Evidence `json:"evidence"`
	// Verdict is there when the drill has one. While something is not healed, the
	// drill goes on trying after its verdict.
	Verdict *verdict.Verdict `json:"verdict,omitempty"`
}

// Stuck are the places in the evidence of the injections that could not be healed
// until now.
func (d Drill) Stuck() (all []int) {
	for at, i := range d.Evidence.Injections {
		if i.HealError != "" && i.Healed.IsZero() {
			all = append(all, at)
		}
	}
	return all
}

// Seen is an alert as the webhook took it.
type Seen struct {
	Alert    runbooks.Alert `json:"alert"`
	At       time.Time      `json:"at"`
	Decision string         `json:"decision,omitempty"`
	RunID    string         `json:"run_id,omitempty"`
	// Expected and Real are what the drill's plan says of such an alert.
	Expected bool `json:"expected,omitempty"`
	Real     bool `json:"real,omitempty"`
	// Body is the message that it came with, cut to size.
	Body json.RawMessage `json:"body,omitempty"`
}

// Stop is what a person says who ends something.
type Stop struct {
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

const (
	chunk       = 2 * time.Second  // how long one look at everything lasts
	attendIn    = 15 * time.Second // an engine must report its alerts by then
	baselineFor = 30 * time.Second // the system must be well within
	settleIn    = 30 * time.Second // after healing, likewise
	patience    = time.Minute      // until people are called to heal
	maxWebhooks = 20
	leaseFor    = model.Duration(time.Minute)
)
