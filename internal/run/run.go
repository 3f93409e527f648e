// Package run is what is known of one execution of a runbook: the state that
// the workflow keeps, the API serves and the terminal draws. It is data only.
package run

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// Outcome is how a run ended.
type Outcome string

// The outcomes of a run. A step has these too, and Done and Failed besides.
const (
	Fixed     Outcome = "fixed"     // the system was verified to be better
	NotFixed  Outcome = "not_fixed" // it was verified not to be
	Worse     Outcome = "worse"     // it was verified to have become worse
	Unknown   Outcome = "unknown"   // nobody could tell
	Skipped   Outcome = "skipped"   // nothing was done, for a reason
	Cancelled Outcome = "cancelled" // stopped by a person or by the end of the alert

	Done   Outcome = "done"   // a step that ran, and has no verify
	Failed Outcome = "failed" // a step that did not run through
)

// Bad outcomes are those after which something else has to be done.
func (o Outcome) Bad() bool { return o == NotFixed || o == Worse || o == Unknown }

// Status is where a run or a step is.
type Status string

// The statuses.
const (
	Pending Status = "pending"
	Running Status = "running"
	Ended   Status = "ended"
)

// Phase is what a running run does.
type Phase string

// The phases, in order.
const (
	Admitting  Phase = "admitting" // the ledger is asked, or it waits in the queue
	Deciding   Phase = "deciding"
	Approving  Phase = "approving" // people are asked for their consent
	Acting     Phase = "acting"
	Verifying  Phase = "verifying"
	Concluding Phase = "concluding"
)

// Run is one execution of a runbook.
type Run struct {
	ID      string          `json:"id" doc:"NAME.EPISODE."`
	Runbook string          `json:"runbook"`
	Digest  string          `json:"digest" doc:"Behaviour of the document that runs."`
	Source  runbooks.Source `json:"source" enum:"alert,exec"`
	Mode    runbooks.Mode   `json:"mode" enum:"live,dry_run,propose"`
	Actor   string          `json:"actor" doc:"Who started it."`
	Reason  string          `json:"reason,omitempty"`
	Params  map[string]any  `json:"params,omitempty"`
	Alert   *runbooks.Alert `json:"alert,omitempty"`

	Status        Status     `json:"status" enum:"running,ended"`
	Phase         Phase      `json:"phase,omitempty"`
	Outcome       Outcome    `json:"outcome,omitempty"`
	OutcomeReason string     `json:"outcome_reason,omitempty"`
	StartedAt     time.Time  `json:"started_at"`
	FirstActionAt *time.Time `json:"first_action_at,omitempty" doc:"When the first step's first call began."`
	EndedAt       *time.Time `json:"ended_at,omitempty"`

	Admission *Admission `json:"admission,omitempty" doc:"What the guards said."`
	Autonomy  *Autonomy  `json:"autonomy,omitempty" doc:"What it may do by itself, and why not more."`
	Approval  *Approval  `json:"approval,omitempty" doc:"Whose consent it asked for."`
	Halted    string     `json:"halted,omitempty" doc:"Why it stands still now: the kill switch."`
	Drill     string     `json:"drill,omitempty" doc:"The drill whose alert it answers: the trouble was made."`
	Override  []string   `json:"override,omitempty" doc:"Guards that a person set aside."`

	Steps      []Step      `json:"steps,omitempty"`
	Remedies   []Remedy    `json:"remedies,omitempty" doc:"What came of each remedy, where the document has remedies."`
	Verify     *Check      `json:"verify,omitempty"`
	Undone     []Undo      `json:"undone,omitempty"`
	Escalation *Escalation `json:"escalation,omitempty"`
	Events     []Event     `json:"events,omitempty"`
}

// Admission is the ledger's answer.
type Admission struct {
	State    ledger.State `json:"state" enum:"admitted,queued,refused"`
	Guard    ledger.Guard `json:"guard,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Token    int64        `json:"token,omitempty" doc:"Fencing token of its lease."`
	Position int          `json:"position,omitempty" doc:"In the queue, from 1."`
	Waited   string       `json:"waited,omitempty" doc:"How long it was queued."`
}

// Autonomy is what a run may do by itself.
type Autonomy struct {
	Level     runbooks.Level `json:"level" doc:"As the document has it."`
	Effective runbooks.Level `json:"effective" doc:"Lowered by the environment, the calendar and the proof."`
	Why       []string       `json:"why,omitempty" doc:"What lowered it."`
}

// Approval is a question to people.
type Approval struct {
	Steps     []string      `json:"steps" doc:"Steps that need consent."`
	Targets   []string      `json:"targets" doc:"What they would touch: consent is for exactly these."`
	Later     []string      `json:"later,omitempty" doc:"Later steps that are no riskier: consent is for these too, whose targets are chosen when their turn comes."`
	By        []string      `json:"by,omitempty" doc:"Roles that may give it."`
	Also      []string      `json:"also,omitempty" doc:"Roles of which one is needed besides: the engine asks for it."`
	Count     int           `json:"count" doc:"How many people must."`
	AskedAt   time.Time     `json:"asked_at"`
	Deadline  time.Time     `json:"deadline"`
	Decisions []Decision    `json:"decisions,omitempty"`
	State     ApprovalState `json:"state" enum:"asked,approved,denied,expired"`
}

// AndLater names the later steps, for people.
func (a Approval) AndLater() string {
	if len(a.Later) == 0 {
		return ""
	}
	return ", and for what is no riskier after it: " + strings.Join(a.Later, ", ")
}

// Limited reports that one of those who consented did so to the targets alone.
func (a Approval) Limited() bool {
	return slices.ContainsFunc(a.Decisions, func(d Decision) bool { return d.Limited })
}

// Lets reports that whoever has these roles may consent, as far as the question
// itself says who may.
func (a Approval) Lets(roles []string) bool {
	for _, wanted := range [][]string{a.By, a.Also} {
		if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(role string) bool { return slices.Contains(roles, role) }) {
			return false
		}
	}
	return true
}

// Roles says who may consent.
func (a Approval) Roles() string {
	text := strings.Join(a.By, " or ")
	if len(a.Also) > 0 {
		text += ", who is also " + strings.Join(a.Also, " or ")
	}
	return cmp.Or(text, "approver")
}

// ApprovalState is where a question to people is.
type ApprovalState string

// The states of an approval.
const (
	Asked    ApprovalState = "asked"
	Approved ApprovalState = "approved"
	Denied   ApprovalState = "denied"
	Expired  ApprovalState = "expired"
)

// Decision is what one person said.
type Decision struct {
	By      string    `json:"by"`
	Approve bool      `json:"approve"`
	Limited bool      `json:"limited,omitempty" doc:"They may consent to some targets only, and so to no later step."`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// Step is one step of a run.
type Step struct {
	ID     string          `json:"id"`
	Do     string          `json:"do"`
	Doc    string          `json:"doc,omitempty"`
	Risk   actions.Risk    `json:"risk,omitempty"`
	Status Status          `json:"status" enum:"pending,running,ended"`
	With   json.RawMessage `json:"with,omitempty"`
	// WouldRun is set in a dry run for a step that changes things.
	WouldRun bool `json:"would_run,omitempty"`

	Selection *actions.Selection `json:"selection,omitempty"`
	Results   []Result           `json:"results,omitempty"`
	Output    json.RawMessage    `json:"output,omitempty"`
	Verify    *Check             `json:"verify,omitempty"`

	Outcome Outcome `json:"outcome,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	// Guard is what refused the step, or the rest of it.
	Guard     ledger.Guard `json:"guard,omitempty"`
	StartedAt *time.Time   `json:"started_at,omitempty"`
	EndedAt   *time.Time   `json:"ended_at,omitempty"`
}

// Refusal says of a step what a guard said.
func (s Step) Refusal() string { return "step " + s.ID + " " + s.Reason }

// Remedy is what came of one remedy.
type Remedy struct {
	ID      string  `json:"id"`
	Outcome Outcome `json:"outcome,omitempty"`
	Reason  string  `json:"reason,omitempty"`
}

// Result is what came of one target.
type Result struct {
	Target    string          `json:"target"`
	Doc       string          `json:"doc,omitempty"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     string          `json:"error,omitempty"`
	Class     actions.Class   `json:"class,omitempty"`
	StartedAt time.Time       `json:"started_at"`
	EndedAt   time.Time       `json:"ended_at"`
	Attempt   int             `json:"attempt,omitempty"`
}

// Check is a verification.
type Check struct {
	Do        string          `json:"do"`
	Until     string          `json:"until"`
	With      json.RawMessage `json:"with,omitempty"`
	Outcome   Outcome         `json:"outcome,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	Looks     int             `json:"looks,omitempty"`
	First     json.RawMessage `json:"first,omitempty" doc:"What the probe said first."`
	Last      json.RawMessage `json:"last,omitempty" doc:"What the probe said last."`
	StartedAt *time.Time      `json:"started_at,omitempty"`
	TrueAt    *time.Time      `json:"true_at,omitempty" doc:"Since when the condition held."`
	EndedAt   *time.Time      `json:"ended_at,omitempty"`
}

// Undo is a change that was taken back, or not.
type Undo struct {
	Step   string `json:"step"`
	Do     string `json:"do"`
	Target string `json:"target"`
	Error  string `json:"error,omitempty"`
}

// Escalation is the call for people.
type Escalation struct {
	Kind     string `json:"kind" enum:"escalation,proposal"`
	Severity string `json:"severity,omitempty"`
	Summary  string `json:"summary"`
	Story    string `json:"story" doc:"What was seen and done."`
	Sent     bool   `json:"sent"`
	Error    string `json:"error,omitempty" doc:"Why it could not be sent."`
}

// Event is one line of the timeline.
type Event struct {
	Seq    int       `json:"seq"`
	At     time.Time `json:"at"`
	Kind   string    `json:"kind"`
	Step   string    `json:"step,omitempty"`
	Target string    `json:"target,omitempty"`
	Text   string    `json:"text"`
}

// Acted reports whether any step that changes things was called.
func (r *Run) Acted() bool {
	for _, s := range r.Steps {
		if s.Risk.Writes() && len(s.Results) > 0 {
			return true
		}
	}
	return false
}

// Acts counts what was called so far.
func (r *Run) Acts() int {
	n := len(r.Undone)
	for _, s := range r.Steps {
		n += len(s.Results)
	}
	return n
}
