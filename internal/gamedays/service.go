// Package gamedays starts, finds, follows and stops drills, through Temporal, and
// tells those under way what comes by the webhook of this engine.
package gamedays

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"github.com/runbook-engine/runbook/workflows"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// ErrNotFound is returned for a drill that is not in the history.
var ErrNotFound = errors.New("no such drill")

// ErrEnded is returned for what can only be done to a drill under way.
var ErrEnded = errors.New("the drill has ended")

// ErrNotStuck is returned for a person's word on what nobody asked about.
var ErrNotStuck = errors.New("nothing of it failed to heal until now; gameday abort ends a drill, and heals it")

// Service reaches the drills of one Temporal namespace.
type Service struct {
	client client.Client
	queue  string
}

// New makes a service that gives its drills to the workers of a task queue.
func New(c client.Client, queue string) *Service { return &Service{client: c, queue: queue} }

// Start begins a drill. The id of the request, or one that is made now, names it.
func (s *Service) Start(ctx context.Context, q drills.Request) (id string, err error) {
	if q.ID == "" {
		q.ID = drills.NewID(q.Gameday, time.Now())
	}
	_, err = s.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: drills.WorkflowID(q.ID), TaskQueue: s.queue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		StaticSummary:            "game day " + q.Gameday,
	}, drills.Type, q)
	if err != nil {
		return "", fmt.Errorf("start game day %s: %w", q.Gameday, err)
	}
	return q.ID, nil
}

// Get is the state of a drill.
func (s *Service) Get(ctx context.Context, id string) (d drills.Drill, err error) {
	value, err := s.client.QueryWorkflow(ctx, drills.WorkflowID(id), "", drills.QueryDrill)
	if err != nil {
		return s.result(ctx, id, err)
	}
	if err := value.Get(&d); err != nil {
		return d, fmt.Errorf("decode drill %s: %w", id, err)
	}
	return d, nil
}

// result is a drill that can not be asked: an ended one answers with its result.
func (s *Service) result(ctx context.Context, id string, asked error) (d drills.Drill, err error) {
	described, err := s.client.DescribeWorkflowExecution(ctx, drills.WorkflowID(id), "")
	var missing *serviceerror.NotFound
	switch {
	case errors.As(err, &missing):
		return d, fmt.Errorf("drill %s: %w", id, ErrNotFound)
	case err != nil:
		return d, fmt.Errorf("read drill %s: %w", id, err)
	case described.WorkflowExecutionInfo.Status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED:
		return d, fmt.Errorf("ask drill %s: %w", id, asked)
	}
	if err := s.client.GetWorkflow(ctx, drills.WorkflowID(id), "").Get(ctx, &d); err != nil {
		return d, fmt.Errorf("read the result of drill %s: %w", id, err)
	}
	return d, nil
}

// Abort stops a drill: everything is healed, and its verdict is aborted.
func (s *Service) Abort(ctx context.Context, id string, stop drills.Stop) error {
	return s.tell(ctx, id, drills.SignalAbort, stop)
}

// Settle says that a person has healed what the drill could not. It fails with
// ErrNotStuck where the drill has met nothing yet that it can not heal.
func (s *Service) Settle(ctx context.Context, id string, stop drills.Stop) error {
	switch d, err := s.Get(ctx, id); {
	case err != nil:
		return err
	case d.Phase != drills.Ended && len(d.Stuck()) == 0:
		return fmt.Errorf("settle drill %s, which is %s: %w", id, d.Phase, ErrNotStuck)
	}
	return s.tell(ctx, id, drills.SignalSettle, stop)
}

func (s *Service) tell(ctx context.Context, id, signal string, arg any) error {
	err := s.client.SignalWorkflow(ctx, drills.WorkflowID(id), "", signal, arg)
	var missing *serviceerror.NotFound
	if errors.As(err, &missing) {
		if _, err := s.Get(ctx, id); err != nil {
			return err
		}
		return fmt.Errorf("drill %s: %w", id, ErrEnded)
	}
	if err != nil {
		return fmt.Errorf("tell drill %s: %w", id, err)
	}
	return nil
}

// Row is a drill in a list.
type Row struct {
	ID        string     `json:"id"`
	Gameday   string     `json:"gameday"`
	Status    string     `json:"status" enum:"running,ended"`
	Verdict   string     `json:"verdict,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// Filter says which drills a list has.
type Filter struct {
	Gameday string
	Running bool // only those under way
	Limit   int
}

// List is the drills, newest first.
func (s *Service) List(ctx context.Context, f Filter) ([]Row, error) {
	answer, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: int32(f.Limit), Query: f.query()})
	if err != nil {
		return nil, fmt.Errorf("list drills: %w", err)
	}
	rows := make([]Row, 0, len(answer.Executions))
	for _, e := range answer.Executions {
		rows = append(rows, rowOf(e))
	}
	return rows, nil
}

func (f Filter) query() string {
	parts := []string{fmt.Sprintf("WorkflowType = '%s'", drills.Type)}
	if f.Gameday != "" {
		parts = append(parts, fmt.Sprintf("%s = '%s'", workflows.AttrRunbook, strings.ReplaceAll(f.Gameday, "'", `\'`)))
	}
	if f.Running {
		parts = append(parts, "ExecutionStatus = 'Running'")
	}
	return strings.Join(parts, " AND ")
}

func rowOf(e *workflowpb.WorkflowExecutionInfo) Row {
	id, _ := drills.IDOf(e.Execution.WorkflowId)
	row := Row{ID: id, Status: "running", StartedAt: e.StartTime.AsTime()}
	attrs := e.GetSearchAttributes().GetIndexedFields()
	decode(attrs[workflows.AttrRunbook], &row.Gameday)
	decode(attrs[workflows.AttrOutcome], &row.Verdict)
	decode(attrs[workflows.AttrReason], &row.Reason)
	if e.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		row.Status = "ended"
		if e.CloseTime != nil {
			at := e.CloseTime.AsTime()
			row.EndedAt = &at
		}
		if row.Verdict == "" {
			row.Verdict, row.Reason = "inconclusive", "the workflow ended as "+strings.ToLower(e.Status.String())
		}
	}
	return row
}

// decode leaves the zero value where a field is missing or of another kind: a row
// of a list must not hide the rest.
func decode(payload *commonpb.Payload, into any) {
	if payload != nil {
		_ = converter.GetDefaultDataConverter().FromPayload(payload, into)
	}
}
