package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// Start asks for a run.
type Start struct {
	Runbook string         `json:"runbook" maxLength:"63" doc:"Name."`
	Params  map[string]any `json:"params,omitempty" maxProperties:"100" doc:"Parameters by name; texts are read as the declared type."`
	Mode    runbooks.Mode  `json:"mode" enum:"live,dry_run" doc:"dry_run looks and decides, and changes nothing."`
	Reason  string         `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the record."`
	// RequestID makes the request safe to repeat.
	RequestID string `json:"request_id,omitempty" pattern:"^[A-Za-z0-9_-]{1,64}$" doc:"Repeating a request with the same one finds the run that the first started. Random when absent."`
	Digest    string `json:"digest,omitempty" maxLength:"64" doc:"Refuse when the loaded document is not this one."`
	// Override is for emergencies, and for admins.
	Override []string `json:"override,omitempty" maxItems:"10" doc:"Guards to set aside, for the reason: storm, queue, concurrency, resource, cooldown, rate or approval."`
}

// Started is the answer to Start.
type Started struct {
	ID       string   `json:"id"`
	Created  bool     `json:"created" doc:"False when the run was there already."`
	Warnings []string `json:"warnings,omitempty" doc:"What will not work as written on this engine."`
}

// Cancel asks a run to stop.
type Cancel struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the record."`
	Undo   bool   `json:"undo,omitempty" doc:"Take back what can be taken back."`
}

type (
	startInput  struct{ Body Start }
	startOutput struct {
		Status   int
		Location string `header:"Location"`
		Body     Started
	}
	listInput struct {
		Runbook string `query:"runbook" maxLength:"63" doc:"Only runs of this runbook."`
		Outcome string `query:"outcome" enum:"fixed,not_fixed,worse,unknown,skipped,cancelled" doc:"Only runs that ended so."`
		Running bool   `query:"running" doc:"Only runs under way."`
		DryRuns bool   `query:"dry_runs" doc:"Dry runs too."`
		Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	}
	listOutput struct{ Body []runs.Row }
	runInput   struct {
		ID string `path:"id" maxLength:"200" doc:"NAME.EPISODE."`
	}
	runOutput   struct{ Body run.Run }
	cancelInput struct {
		ID   string `path:"id" maxLength:"200" doc:"NAME.EPISODE."`
		Body Cancel
	}
	cancelOutput struct{ Body Started }
)

func (s *server) runs() {
	start := operation("start-run", http.MethodPost, "/runs", "Start a run",
		http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable)
	start.DefaultStatus = http.StatusCreated
	huma.Register(s.api, start, s.startRun)
	huma.Register(s.api, operation("list-runs", http.MethodGet, "/runs", "Runs, newest first", http.StatusServiceUnavailable), s.listRuns)
	huma.Register(s.api, operation("get-run", http.MethodGet, "/runs/{id}", "One run", http.StatusNotFound, http.StatusServiceUnavailable), s.getRun)
	cancel := operation("cancel-run", http.MethodPost, "/runs/{id}/cancel", "Ask a run to stop",
		http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable)
	cancel.DefaultStatus = http.StatusAccepted
	huma.Register(s.api, cancel, s.cancelRun)
}

func (s *server) listRuns(ctx context.Context, in *listInput) (*listOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	rows, err := s.Runs.List(ctx, runs.Filter{
		Runbook: in.Runbook, Outcome: in.Outcome, Running: in.Running, DryRuns: in.DryRuns, Limit: in.Limit,
	})
	if err != nil {
		return nil, s.failed(err)
	}
	s.Runs.Waits(ctx, rows)
	return &listOutput{rows}, nil
}

func (s *server) getRun(ctx context.Context, in *runInput) (*runOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	r, err := s.Runs.Get(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	return &runOutput{r}, nil
}

func (s *server) startRun(ctx context.Context, in *startInput) (*startOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	rb, err := s.find(in.Body.Runbook)
	if err != nil {
		return nil, err
	}
	who := identity.FromContext(ctx)
	plan, err := planOf(rb, in.Body, who.Name)
	plan.Only = who.Targets(identity.Operator, rb.Runbook)
	if denied := who.For(identity.Operator, rb.Runbook); denied != nil {
		return nil, s.denied(ctx, "start "+rb.Runbook, denied)
	}
	if problem := s.checkOverride(ctx, who, in.Body); problem != nil {
		return nil, problem
	}
	if err != nil {
		return nil, s.refused(plan, err)
	}
	if err := s.Audit.Write(startEntry(plan, "start")); err != nil {
		s.Log.Error("a run is refused because it can not be recorded", "error", err)
		return nil, problem(http.StatusServiceUnavailable, CodeAudit, "the start of a run can not be recorded, so it is not started: "+err.Error())
	}
	created, err := s.Runs.Start(ctx, plan)
	if err == nil && !created {
		err = s.sameAsBefore(ctx, plan)
	}
	if err != nil {
		return nil, s.refused(plan, s.asProblem(err))
	}
	out := &startOutput{
		Status: http.StatusCreated, Location: Prefix + "/runs/" + plan.RunID(),
		Body: Started{ID: plan.RunID(), Created: created, Warnings: s.warnings(rb)},
	}
	if !created {
		out.Status = http.StatusOK
	}
	return out, nil
}

// planOf is the plan of a request. The plan is as complete as it can be made
// also when it is refused, for the record.
func planOf(rb *runbooks.Runbook, in Start, who string) (runbooks.Plan, error) {
	if in.RequestID == "" {
		in.RequestID = strings.ToLower(rand.Text()[:10])
	}
	plan, err := rb.ForExec(in.Params, in.Mode, who, in.Reason, Episode(in))
	plan.Override = in.Override
	if err != nil {
		return plan, problem(http.StatusUnprocessableEntity, CodeParams, "the parameters of "+rb.Runbook+" are not complete or not valid", each(err)...)
	}
	if in.Digest != "" && in.Digest != plan.Digest {
		return plan, problem(http.StatusConflict, CodeChanged,
			fmt.Sprintf("runbook %s has changed: its digest is %s now, not %s; look at the plan again", rb.Runbook, plan.Digest, in.Digest))
	}
	return plan, nil
}

// LiveEpisode and DryEpisode begin the last part of the id of a run that a
// request started. That of an alert has another form, so that no request can
// take the place of an alert's run.
const (
	LiveEpisode = "exec-"
	DryEpisode  = "dry-"
)

// Episode is the last part of the id of the run that a request with a request id
// starts.
func Episode(in Start) string {
	if in.Mode == runbooks.ModeDryRun {
		return DryEpisode + in.RequestID
	}
	return LiveEpisode + in.RequestID
}

// each takes apart what errors.Join put together.
func each(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// sameAsBefore refuses to pass off another run as the one that is asked for.
func (s *server) sameAsBefore(ctx context.Context, plan runbooks.Plan) error {
	earlier, err := s.Runs.Plan(ctx, plan.RunID())
	if err != nil {
		return err
	}
	if same, err := equalJSON(earlier.Params, plan.Params); err != nil || !same || !slices.Equal(earlier.Override, plan.Override) {
		return problem(http.StatusConflict, CodeRequestReused, fmt.Sprintf("run %s was started with other parameters; use another request_id", plan.RunID()))
	}
	return nil
}

// equalJSON compares what went through JSON with what did not.
func equalJSON(a, b map[string]any) (bool, error) {
	if len(a) == 0 && len(b) == 0 {
		return true, nil
	}
	x, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	y, err := json.Marshal(b)
	return bytes.Equal(x, y), err
}

func (s *server) asProblem(err error) error {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return s.failed(err)
}

// refused records that a run was asked for and not started.
func (s *server) refused(plan runbooks.Plan, reason error) error {
	entry := startEntry(plan, "refused")
	entry.Error = reason.Error()
	if err := s.Audit.Write(entry); err != nil {
		s.Log.Error("the audit line of a refused run is lost", "error", err)
	}
	return reason
}

func (s *server) cancelRun(ctx context.Context, in *cancelInput) (*cancelOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	request := workflows.CancelRequest{By: identity.FromContext(ctx).Name, Reason: in.Body.Reason, Undo: in.Body.Undo}
	err := s.Runs.Cancel(ctx, in.ID, request)
	s.recordCancel(in.ID, request, err)
	if err != nil {
		return nil, s.failed(err)
	}
	return &cancelOutput{Started{ID: in.ID}}, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
