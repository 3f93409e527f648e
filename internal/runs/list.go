package runs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/converter"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

const (
	memoActor    = "actor"
	memoAlert    = "alert"
	memoReceiver = "receiver"
)

// Row is a run in a list.
type Row struct {
	ID        string          `json:"id"`
	Runbook   string          `json:"runbook"`
	Source    runbooks.Source `json:"source" enum:"alert,exec"`
	Mode      runbooks.Mode   `json:"mode" enum:"live,dry_run,propose"`
	Actor     string          `json:"actor"`
	Alert     string          `json:"alert,omitempty"`
	Receiver  string          `json:"-"` // that Alertmanager notified
	Status    run.Status      `json:"status" enum:"running,ended"`
	Outcome   run.Outcome     `json:"outcome,omitempty"`
	Reason    string          `json:"reason,omitempty"`
	StartedAt time.Time       `json:"started_at"`
	EndedAt   *time.Time      `json:"ended_at,omitempty"`
	WaitsFor  string          `json:"waits_for,omitempty" doc:"Of one under way: what must happen before it goes on, such as consent, its turn or the end of a halt."`
}

// Filter says which runs a list has.
type Filter struct {
	Runbook string
	Outcome string
	// Fingerprints are those of alerts of which one must have started the run.
	Fingerprints []string
	Running      bool // only those under way
	DryRuns      bool // dry runs too
	// Since leaves out those that were over by then.
	Since time.Time
	Limit int
}

// List is the runs, newest first. Temporal lists those under way before all that
// have ended, and these by when they ended: each kind is asked for by itself.
func (s *Service) List(ctx context.Context, f Filter) ([]Row, error) {
	rows, err := s.page(ctx, f.query()+" AND ExecutionStatus = 'Running'", f.Limit)
	if err != nil || f.Running {
		return rows, err
	}
	ended, err := s.page(ctx, f.query()+" AND ExecutionStatus != 'Running'", f.Limit)
	if err != nil {
		return nil, err
	}
	over := map[string]bool{} // also those that ended between the two questions
	for _, row := range ended {
		over[row.ID] = true
	}
	rows = slices.DeleteFunc(rows, func(row Row) bool { return over[row.ID] })
	rows = append(rows, ended...)
	slices.SortStableFunc(rows, func(a, b Row) int { return b.StartedAt.Compare(a.StartedAt) })
	return rows[:min(len(rows), f.Limit)], nil
}

func (s *Service) page(ctx context.Context, query string, limit int) ([]Row, error) {
	rows := []Row{}
	var page []byte
	for len(rows) < limit {
		answer, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: int32(min(limit-len(rows), 1000)), NextPageToken: page, Query: query,
		})
		if err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		for _, e := range answer.Executions {
			rows = append(rows, rowOf(e))
		}
		if page = answer.NextPageToken; len(page) == 0 {
			break
		}
	}
	return rows, nil
}

func (f Filter) query() string {
	parts := []string{fmt.Sprintf("WorkflowType = '%s'", workflows.RemediateType)}
	add := func(attr, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%s = '%s'", attr, quote(value)))
		}
	}
	add(workflows.AttrRunbook, f.Runbook)
	add(workflows.AttrOutcome, f.Outcome)
	if len(f.Fingerprints) > 0 {
		parts = append(parts, fmt.Sprintf("%s IN ('%s')", workflows.AttrFingerprint, strings.Join(f.Fingerprints, "','")))
	}
	if !f.Since.IsZero() {
		parts = append(parts, fmt.Sprintf("(ExecutionStatus = 'Running' OR CloseTime >= '%s')", f.Since.UTC().Format(time.RFC3339Nano)))
	}
	if !f.DryRuns {
		parts = append(parts, fmt.Sprintf("%s != '%s'", workflows.AttrMode, runbooks.ModeDryRun))
	}
	return strings.Join(parts, " AND ")
}

func quote(value string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
}

func rowOf(e *workflowpb.WorkflowExecutionInfo) Row {
	id, _ := runbooks.RunIDOf(e.Execution.WorkflowId)
	row := Row{ID: id, Status: run.Ended, StartedAt: e.StartTime.AsTime()}
	if e.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		row.Status = run.Running
	} else if e.CloseTime != nil {
		at := e.CloseTime.AsTime()
		row.EndedAt = &at
	}
	attrs := e.GetSearchAttributes().GetIndexedFields()
	decode(attrs[workflows.AttrRunbook], &row.Runbook)
	decode(attrs[workflows.AttrSource], &row.Source)
	decode(attrs[workflows.AttrMode], &row.Mode)
	decode(attrs[workflows.AttrOutcome], &row.Outcome)
	decode(attrs[workflows.AttrReason], &row.Reason)
	memo := e.GetMemo().GetFields()
	decode(memo[memoActor], &row.Actor)
	decode(memo[memoAlert], &row.Alert)
	decode(memo[memoReceiver], &row.Receiver)
	if row.Status == run.Ended && row.Outcome == "" {
		row.Outcome, row.Reason = run.Unknown, "the workflow ended as "+strings.ToLower(e.Status.String())
	}
	return row
}

// decode leaves the zero value where a field is missing or of another kind: a
// row of a list must not hide the rest.
func decode(payload *commonpb.Payload, into any) {
	if payload == nil {
		return
	}
	_ = converter.GetDefaultDataConverter().FromPayload(payload, into)
}
