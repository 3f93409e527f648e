package runbooks

import (
	"encoding/json"
	"strings"

	"github.com/runbook-engine/runbook/internal/document"
)

// Mode is how much of a plan is carried out.
type Mode string

// The modes.
const (
	ModeLive    Mode = "live"
	ModeDryRun  Mode = "dry_run" // every read and condition, no write
	ModePropose Mode = "propose" // a dry run that tells people
)

// Source is what started a run.
type Source string

// The sources.
const (
	FromAlert Source = "alert"
	FromExec  Source = "exec"
)

// Plan is the input of a run: everything it needs, resolved. Editing a document
// does not change a run under way, and the history says what ran.
type Plan struct {
	Runbook  string          `json:"runbook"`
	Digest   string          `json:"digest"`
	Document Document        `json:"document"`
	Params   document.Values `json:"params,omitempty"`
	Alert    *Alert          `json:"alert,omitempty"`
	Episode  string          `json:"episode"`
	Source   Source          `json:"source"`
	Mode     Mode            `json:"mode"`
	Actor    string          `json:"actor"`
	Reason   string          `json:"reason,omitempty"`
	// Override names guards that a person sets aside for this run, for Reason.
	Override []string `json:"override,omitempty"`
	// Only is globs of which one must fit each target that is changed: what whoever
	// asked for the run is limited to.
	Only []string `json:"only,omitempty"`
	// Refusal is why this run must not do anything. Such a run is recorded and
	// ends at once.
	Refusal string `json:"refusal,omitempty"`
}

// RunID identifies the run to people: NAME.EPISODE.
func (p *Plan) RunID() string { return RunID(p.Runbook, p.Episode) }

// RunID identifies the run of a runbook for an episode.
func RunID(runbook, episode string) string { return runbook + "." + episode }

// WorkflowID is the run's id in Temporal.
func WorkflowID(runID string) string {
	runbook, episode, _ := strings.Cut(runID, ".")
	return "run/" + runbook + "/" + episode
}

// RunIDOf is the reverse of WorkflowID.
func RunIDOf(workflowID string) (string, bool) {
	parts := strings.SplitN(workflowID, "/", 3)
	if len(parts) != 3 || parts[0] != "run" {
		return "", false
	}
	return RunID(parts[1], parts[2]), true
}

// Facts are what is known of a step when a later condition asks.
type Facts struct {
	Outcome string          `json:"outcome"`
	Output  json.RawMessage `json:"output,omitempty"`
	Targets int             `json:"targets"`
	Error   string          `json:"error,omitempty"`
}

// ForAlert is the plan of a run that an alert starts. Where the runbook must
// not act on it, the plan says so as its refusal.
func (rb *Runbook) ForAlert(a Alert) Plan {
	p := rb.plan(FromAlert, "alertmanager")
	p.Episode = a.Episode()
	if rb.Autonomy.Level == Propose {
		p.Mode = ModePropose
	}
	// The values are checked as they came, before they are cut to size.
	params, err := rb.Resolve(nil, &a)
	p.Params = params
	bounded := a.Bounded()
	p.Alert = &bounded
	if err != nil {
		p.Refusal = err.Error()
	}
	return p
}

// ForExec is the plan of a run that a person starts. Autonomy says what a
// runbook may do by itself and does not bind a person.
func (rb *Runbook) ForExec(set map[string]any, mode Mode, actor, reason, episode string) (Plan, error) {
	p := rb.plan(FromExec, actor)
	p.Episode, p.Mode, p.Reason = episode, mode, reason
	var err error
	p.Params, err = rb.Resolve(set, nil)
	return p, err
}

func (rb *Runbook) plan(source Source, actor string) Plan {
	return Plan{
		Runbook: rb.Runbook, Digest: rb.Digest(), Document: rb.Document,
		Source: source, Mode: ModeLive, Actor: actor,
	}
}
