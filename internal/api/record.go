package api

import (
	"encoding/json"
	"strings"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

func startEntry(p runbooks.Plan, decision string) audit.Entry {
	e := audit.Entry{
		Kind: audit.Decision, Actor: p.Actor, Reason: p.Reason, Run: p.RunID(), Runbook: p.Runbook, Digest: p.Digest,
		Episode: p.Episode, Decision: decision + " " + string(p.Mode),
	}
	if len(p.Override) > 0 {
		e.Decision += ", sets aside " + strings.Join(p.Override, ", ")
	}
	if params, err := json.Marshal(p.Params); err == nil {
		e.Params = params
	}
	return e
}

// recordCancel does not stand in the way of stopping: a line that can not be
// written is logged.
func (s *server) recordCancel(id string, request workflows.CancelRequest, failure error) {
	e := audit.Entry{Kind: audit.Cancel, Actor: request.By, Reason: request.Reason, Run: id, Decision: "cancel"}
	if request.Undo {
		e.Decision = "cancel and undo"
	}
	if failure != nil {
		e.Error = failure.Error()
	}
	if err := s.Audit.Write(e); err != nil {
		s.Log.Error("the audit line of a cancel is lost", "error", err, "run", id)
	}
}
