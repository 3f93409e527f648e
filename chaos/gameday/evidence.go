package gameday

import (
	"encoding/json"
	"time"
)

// Evidence is what a drill saw. All times are of the engine's clock, but those
// whose comment says that they are foreign. A zero time means that it was not
// seen. What was not seen is left out rather than guessed: the verdict tells
// "did not happen" from "nobody looked" by Watched.
type Evidence struct {
	ID      string    `json:"id"`     // of the drill
	Digest  string    `json:"digest"` // of the plan's document
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`

	Preflight  []Check     `json:"preflight,omitempty"`
	Injections []Injection `json:"injections,omitempty"`
	Probes     []Series    `json:"probes,omitempty"`
	Alerts     []Alert     `json:"alerts,omitempty"`
	// Pending is when a Prometheus was first seen to hold the expected alert back,
	// until it had lasted. Nothing is judged by it.
	Pending time.Time `json:"pending,omitzero"`
	// Webhooks are the bodies as they came, cut to a size that a history can hold.
	Webhooks      []json.RawMessage `json:"webhooks,omitempty"`
	Runs          []Run             `json:"runs,omitempty"`
	Watched       []Watch           `json:"watched,omitempty"`
	Incarnations  []Incarnation     `json:"incarnations,omitempty"`
	Interventions []Intervention    `json:"interventions,omitempty"`
	Abort         *Abort            `json:"abort,omitempty"`
	// Engines are those that began to report to the drill, each process once. What
	// an engine holds ends with it.
	Engines []Arrival `json:"engines,omitempty"`
	// Notes are what went wrong beside the drill, such as a hook that failed.
	Notes []string `json:"notes,omitempty"`
}

// State is what a check or a look at the system came to.
type State string

// The states.
const (
	OK      State = "ok"      // of a check
	Warning State = "warning" // of a check that stops nothing, but should be read
	Failed  State = "failed"  // of a check
	Unknown State = "unknown" // of a check that could not be made

	Good    State = "good"    // of a sample: the expression is true
	Bad     State = "bad"     // it is false
	Missing State = "missing" // the probe or its expression gave no answer, and its NoAnswer is missing
)

// Check is one question of the pre-flight.
type Check struct {
	Name  string `json:"name"`
	State State  `json:"state"` // ok, warning, failed or unknown
	Text  string `json:"text,omitempty"`
}

// Passed reports whether a drill may go on after the check.
func (c Check) Passed() bool { return c.State == OK || c.State == Warning }

// The checks that every pre-flight has, and one of the targets of each fault;
// there may be others. That of the windows is there where the plan names some.
const (
	CheckHalt     = "halt"     // the engine is not halted
	CheckFaults   = "faults"   // no fault of another drill is in the systems
	CheckAlerts   = "alerts"   // no alert fires that the drill waits for, or gives way to
	CheckLock     = "lock"     // nobody else is at work on the resource
	CheckWebhook  = "webhook"  // an engine reports the alerts that reach it
	CheckBaseline = "baseline" // every steady probe is good
	CheckWindows  = "windows"  // no window is open in which the plan must not run
)

// CheckTargets is the check of what a fault would touch, against the limits.
func CheckTargets(fault string) string { return "targets of " + fault }

// Checks are the names of those that the pre-flight of a plan must have.
func (p *Plan) Checks() []string {
	all := []string{CheckHalt, CheckFaults, CheckAlerts, CheckLock, CheckWebhook, CheckBaseline}
	if len(p.NotDuring) > 0 {
		all = append(all, CheckWindows)
	}
	for _, f := range p.Faults {
		all = append(all, CheckTargets(f.ID))
	}
	return all
}

// Injection is what became of one fault of the plan.
type Injection struct {
	ID       string    `json:"id"`              // of the injection, as the injector knows it
	Fault    string    `json:"fault"`           // id of the fault in the plan
	Targets  []string  `json:"targets"`         // as selected just before
	Deadline time.Time `json:"deadline"`        // at which the injector ends it by itself
	Tries    int       `json:"tries"`           // calls to inject
	Error    string    `json:"error,omitempty"` // of the last try, when none succeeded

	Requested time.Time `json:"requested,omitzero"` // before the first try; from then on something may be in the system
	Injected  time.Time `json:"injected,omitzero"`  // the injector has said that it is there
	// EffectSeen is the first look that was not good, of the probe that tells the
	// recovery, after it was requested.
	EffectSeen time.Time `json:"effect_seen,omitzero"`

	// There is the last look at the system in which the fault was there, and Gone
	// the first one in which it was not, though nobody had ended it. The injector's
	// word that it is there is such a look.
	There time.Time `json:"there,omitzero"`
	Gone  time.Time `json:"gone,omitzero"`

	HealIssued time.Time `json:"heal_issued,omitzero"` // before the first try to end it
	Healed     time.Time `json:"healed,omitzero"`      // the reading back has said that nothing is left
	HealError  string    `json:"heal_error,omitempty"` // why that is not proven
	// Proofs are the readings back that found nothing left, in words.
	Proofs []string `json:"proofs,omitempty"`
}

// expires is how much before its deadline an injector may end a fault, by its own
// clock.
const expires = time.Second

// Lost reports that the fault was gone before its time, though nobody had ended it.
func (i *Injection) Lost() bool {
	return !i.Gone.IsZero() && i.Gone.Before(i.Deadline.Add(-expires))
}

// Series is the looks of one probe, oldest first.
type Series struct {
	ID      string   `json:"id"` // of the probe in the plan
	Samples []Sample `json:"samples"`
}

// Sample is one look.
type Sample struct {
	At    time.Time     `json:"at"`   // when it was asked
	Took  time.Duration `json:"took"` // nanoseconds until the answer
	State State         `json:"state"`
	// Output is what the look gave, and Error why it failed. Of a drill that looks
	// very often, both are kept where the state changes.
	Output json.RawMessage `json:"output,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// End is when the answer was there.
func (s Sample) End() time.Time { return s.At.Add(s.Took) }

// Alert is one episode of an alert that was seen during the drill: one that it
// waits for, that must stay silent, or that is an incident.
type Alert struct {
	Fingerprint string            `json:"fingerprint"`
	Labels      map[string]string `json:"labels"`
	StartsAt    time.Time         `json:"starts_at,omitzero"` // foreign: the clock of who raised it

	ActiveSeen time.Time `json:"active_seen,omitzero"` // first seen firing in Alertmanager's API
	Webhook    time.Time `json:"webhook,omitzero"`     // its first firing delivery to our webhook
	Resolved   time.Time `json:"resolved,omitzero"`    // its resolved delivery, or first seen gone
	// Suppressed is set when Alertmanager says that it is silenced or inhibited.
	Suppressed bool `json:"suppressed,omitempty"`
	// Decision is what our webhook did about it, in words, and RunID the run that
	// it started.
	Decision string `json:"decision,omitempty"`
	RunID    string `json:"run_id,omitempty"`
	// Expected is set when the drill took it for the alert that it waits for. The
	// verdict compares the labels again.
	Expected bool `json:"expected"`
}

// Run is what is known of a run of a runbook during the drill, whoever started
// it.
type Run struct {
	ID          string    `json:"id"`
	Runbook     string    `json:"runbook"`
	Digest      string    `json:"digest"`
	Fingerprint string    `json:"fingerprint,omitempty"` // of its alert
	Source      string    `json:"source"`                // alert or exec
	Mode        string    `json:"mode"`                  // live, dry_run or propose
	Started     time.Time `json:"started,omitzero"`
	FirstAction time.Time `json:"first_action,omitzero"` // the first call of any step began
	Ended       time.Time `json:"ended,omitzero"`
	Outcome     string    `json:"outcome,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Steps       []RunStep `json:"steps,omitempty"`
}

// RunStep is one step of a run.
type RunStep struct {
	ID      string    `json:"id"`
	Do      string    `json:"do"`
	Outcome string    `json:"outcome,omitempty"`
	Targets []string  `json:"targets,omitempty"` // ids of what was called, with success
	Started time.Time `json:"started,omitzero"`  // the first call began
	// Acted is when the first call on a target succeeded, and Ended when the last
	// call was over. A verification after it does not count.
	Acted time.Time `json:"acted,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	// Effect is set when the action changes things and a call of it succeeded, and
	// Unsure when one may have: its answer was lost, or is not there yet.
	Effect bool `json:"effect"`
	Unsure bool `json:"unsure,omitempty"`
}

// What must be watched to know that something did not happen.
const (
	WatchAlerts = "alerts" // Alertmanager's API and our webhook
	WatchRuns   = "runs"
)

// Watch is a time in which something was looked at without a break: each look
// came no later than a few seconds after the one before, and had an answer.
type Watch struct {
	What string    `json:"what"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Incarnation is which targets of the faults there were at one moment: the same
// name with another id is another thing.
type Incarnation struct {
	At  time.Time `json:"at"`
	IDs []string  `json:"ids"`
}

// Arrival is an engine that began to report to the drill.
type Arrival struct {
	At   time.Time `json:"at"`
	Name string    `json:"name"`
}

// Intervention is what a person did during the drill: an approval, a denial, a
// cancellation, a run by hand.
type Intervention struct {
	At   time.Time `json:"at"`
	Who  string    `json:"who"`
	What string    `json:"what"`
}

// Who aborts a drill.
const (
	AbortProbe  = "probe"  // a steady probe was not good for too long
	AbortAlert  = "alert"  // a real alert came
	AbortPerson = "person" // somebody cancelled it
	AbortEngine = "engine" // the kill switch, a lost lock, the end of the engine
)

// Abort is the early end of a drill.
type Abort struct {
	At  time.Time `json:"at"`
	By  string    `json:"by"`
	Why string    `json:"why"`
}
