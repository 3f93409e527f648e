package gameday

import (
	"slices"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// RunOf is what a drill keeps of a run.
func RunOf(r *run.Run) Run {
	out := Run{
		ID: r.ID, Runbook: r.Runbook, Digest: r.Digest, Source: string(r.Source), Mode: string(r.Mode),
		Started: r.StartedAt, FirstAction: known(r.FirstActionAt), Ended: known(r.EndedAt),
		Outcome: string(r.Outcome), Reason: r.OutcomeReason,
	}
	if r.Alert != nil {
		out.Fingerprint = r.Alert.Fingerprint
	}
	for _, s := range r.Steps {
		step := stepOf(s)
		step.Unsure = r.Mode == runbooks.ModeLive && r.Phase != run.Approving && unsure(s)
		out.Steps = append(out.Steps, step)
	}
	return out
}

// unsure reports that a call may have changed something of which nobody knows: its
// answer was lost, or is not there yet.
func unsure(s run.Step) bool {
	if !s.Risk.Writes() {
		return false
	}
	underWay := s.Status == run.Running && s.Selection != nil && len(s.Results) < len(s.Selection.Targets)
	return underWay || slices.ContainsFunc(s.Results, func(r run.Result) bool { return r.Class == actions.ClassAmbiguous })
}

func known(at *time.Time) time.Time {
	if at == nil {
		return time.Time{}
	}
	return *at
}

func stepOf(s run.Step) RunStep {
	out := RunStep{ID: s.ID, Do: s.Do, Outcome: string(s.Outcome)}
	for _, r := range s.Results {
		if out.Started.IsZero() || r.StartedAt.Before(out.Started) {
			out.Started = r.StartedAt
		}
		if r.EndedAt.After(out.Ended) {
			out.Ended = r.EndedAt
		}
		if r.Error != "" {
			continue
		}
		out.Targets = append(out.Targets, r.Target)
		out.Effect = s.Risk.Writes()
		if out.Acted.IsZero() || r.EndedAt.Before(out.Acted) {
			out.Acted = r.EndedAt
		}
	}
	return out
}
