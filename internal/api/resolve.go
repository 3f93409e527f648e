package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/workflows"
)

// resolve is how a person ends the page of a run: the matter is settled.
func (s *server) resolve() {
	op := operation("resolve-run", http.MethodPost, "/runs/{id}/resolve", "End the page of a run: the matter is settled",
		http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable)
	op.DefaultStatus = http.StatusAccepted
	huma.Register(s.api, op, s.resolveRun)
}

// Resolved is what has become of a page that a person ended.
type Resolved struct {
	ID     string `json:"id"`
	Ended  bool   `json:"ended" doc:"Whether its alert has ended by now; else the engine goes on to end it."`
	Missed string `json:"missed,omitempty" doc:"Why an Alertmanager could not be told; its alert ends there by itself."`
}

type resolvedOutput struct{ Body Resolved }

func (s *server) resolveRun(ctx context.Context, in *decideInput) (*resolvedOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	who := identity.FromContext(ctx).Name
	err := s.Runs.EndPage(ctx, in.ID, workflows.PageEnd{By: who, Reason: in.Body.Reason})
	e := audit.Entry{Kind: audit.Cancel, Actor: who, Reason: in.Body.Reason, Run: in.ID, Decision: "resolve the page"}
	if err != nil {
		e.Error = err.Error()
	}
	if err := s.Audit.Write(e); err != nil {
		s.Log.Error("the audit line of a resolved page is lost", "error", err, "run", in.ID)
	}
	if err != nil {
		return nil, s.failed(err)
	}
	out := Resolved{ID: in.ID}
	if page, err := s.Runs.AwaitPage(ctx, in.ID); err == nil {
		out.Ended, out.Missed = true, page.Error
	}
	return &resolvedOutput{out}, nil
}
