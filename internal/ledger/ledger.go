// Package ledger decides who may act, on what, and how often: the kill switch,
// the storm breaker, the queue, leases on resources, cooldowns, rates, and the
// proofs that runbooks have earned. It is a state and the operations on it, the
// same for runs and game days; it knows the time only as it is told, and no
// Temporal. The workflow that keeps it is in package workflows.
package ledger

import (
	"time"

	"github.com/prometheus/common/model"
)

// Op is one operation on the ledger: exactly one field is set. Each may be
// repeated, after an answer that was lost, and then changes nothing.
type Op struct {
	Admit   *Admit   `json:"admit,omitempty"`
	Confirm *Confirm `json:"confirm,omitempty"`
	Reserve *Reserve `json:"reserve,omitempty"`
	Release *Release `json:"release,omitempty"`
	Halt    *Halt    `json:"halt,omitempty"`
	Resume  *Resume  `json:"resume,omitempty"`
	Reset   *Reset   `json:"reset,omitempty"`
	Prove   *Proof   `json:"prove,omitempty"`
}

// Admit asks whether a run may act. A run that is queued hears of its turn by a
// signal, and may ask again at any time: asking is also how it keeps its place.
type Admit struct {
	Run        string         `json:"run"`                // NAME.EPISODE, or what else tells a holder from others
	Workflow   string         `json:"workflow,omitempty"` // that is signalled; that of the run unless set
	Runbook    string         `json:"runbook"`
	Alert      string         `json:"alert,omitempty"`    // alertname, for fairness
	Severity   string         `json:"severity,omitempty"` // for priority
	Source     string         `json:"source"`             // alert, exec or gameday
	Resource   string         `json:"resource,omitempty"`
	OnConflict string         `json:"on_conflict,omitempty"` // queue (the default), drop or replace
	Cooldown   model.Duration `json:"cooldown,omitempty"`
	// EngineCooldown is that which the engine asks of each runbook: the longer holds.
	EngineCooldown model.Duration `json:"engine_cooldown,omitempty"`
	Rate           []Rate         `json:"rate,omitempty"` // of this runbook, on this resource where there is one
	Override       []string       `json:"override,omitempty"`
}

// Confirm proves, just before an effect and while it lasts, that the run still
// holds its lease. The answer is good for Answer.Lease from the moment at which
// the question was sent, by the clock of whoever asked.
type Confirm struct {
	Run   string `json:"run"`
	Token int64  `json:"token"`
	// Keep holds the lease for at least so long without a further Confirm: through
	// a wait of the run in which it does nothing.
	Keep model.Duration `json:"keep,omitempty"`
}

// Reserve books an attempt on each target before it is made, against the
// target's own rates: all of them or none. It takes the place of what the step
// had reserved of a population; without targets it gives that back.
type Reserve struct {
	Run     string   `json:"run"`
	Step    string   `json:"step"`
	Targets []string `json:"targets"`
	Rate    []Rate   `json:"rate"` // of the runbook
	// EngineRate is that which the engine asks of each runbook: all of both hold.
	EngineRate []Rate `json:"engine_rate,omitempty"`
	// Population is what the targets were chosen from, where that is known.
	Population *Population `json:"population,omitempty"`
	// Override are the guards that a person set aside: what is beyond a rate is
	// booked nevertheless.
	Override []string `json:"override,omitempty"`
}

// Release ends what a run holds. Linger keeps the lease until it can no longer
// be in use: an action of the run may still be under way somewhere.
type Release struct {
	Run    string `json:"run"`
	Linger bool   `json:"linger,omitempty"`
	// Acted starts the cooldown.
	Acted bool `json:"acted,omitempty"`
}

// Halt is the kill switch.
type Halt struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until,omitzero"` // for ever without it
}

// Resume ends a halt, unless the halt is newer. Without a time it is newer than
// any halt so far.
type Resume struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// Reset closes the storm breaker. The backlog is processed, or skipped.
type Reset struct {
	By   string `json:"by"`
	Skip bool   `json:"skip"`
	// Since says which opening is meant; without it, the present one.
	Since time.Time `json:"since,omitzero"`
}

// Proof is what a game day showed of one behaviour of a runbook.
type Proof struct {
	Runbook  string         `json:"runbook"`
	Digest   string         `json:"digest"`
	Gameday  string         `json:"gameday"`
	Verdict  string         `json:"verdict"`
	At       time.Time      `json:"at"`
	Recovery model.Duration `json:"recovery,omitempty"`
}

// State is what became of a run that asked.
type State string

// The states.
const (
	Admitted State = "admitted"
	Queued   State = "queued"
	Refused  State = "refused"
)

// Guard names what refused or queued a run; it is also what a person overrides.
type Guard string

// The guards of the ledger.
const (
	GuardHalt        Guard = "halt"
	GuardStorm       Guard = "storm"
	GuardQueue       Guard = "queue"
	GuardConcurrency Guard = "concurrency"
	GuardResource    Guard = "resource"
	GuardCooldown    Guard = "cooldown"
	GuardRate        Guard = "rate"
	GuardPopulation  Guard = "population" // which nobody overrides
	GuardEnded       Guard = "ended"      // nor this: a run acts once
)

// Answer is what came of an Op. For what asks nothing it is Admitted.
type Answer struct {
	State    State          `json:"state"`
	Guard    Guard          `json:"guard,omitempty"`
	Reason   string         `json:"reason,omitempty"` // for people: which limit, who holds it, until when
	Token    int64          `json:"token,omitempty"`  // fencing token: greater than any that the resource had before
	Lease    model.Duration `json:"lease,omitempty"`
	Position int            `json:"position,omitempty"` // in the queue, from 1
	Again    time.Time      `json:"again,omitzero"`     // when to ask again at the latest
}

// Limits are the engine's own, for all runbooks together. The zero value of a
// field sets no limit.
type Limits struct {
	MaxRuns int            `json:"max_runs,omitempty" optional:"true" min:"1" doc:"Runs that act at a time; others wait in the queue."`
	Rate    []Rate         `json:"rate,omitempty" optional:"true" doc:"Most runs in a window, over all runbooks."`
	Storm   Storm          `json:"storm" default:"{}" doc:"The storm breaker."`
	Queue   Queue          `json:"queue" default:"{}" doc:"Where runs wait."`
	Lease   model.Duration `json:"lease" default:"30s" min:"5s" max:"10m" doc:"How long a lease holds after it was last confirmed."`
}

// Storm opens the breaker.
type Storm struct {
	Runs   int            `json:"runs" default:"50" min:"0" doc:"Runs that alerts may start within the window; one more opens the breaker. 0 turns it off."`
	Within model.Duration `json:"within" default:"5m" min:"1s" max:"24h" doc:"The sliding window."`
}

// Queue bounds what waits.
type Queue struct {
	Max     int            `json:"max" default:"10000" min:"1" max:"20000" doc:"Runs that may wait. When it is full, alerts are answered with 503 and come again."`
	MaxWait model.Duration `json:"max_wait" default:"1h" min:"1s" max:"7d" doc:"A run that waited so long does nothing more; people are called where its runbook says escalate."`
}
