package runs

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Plan is what a run was started with. It needs no worker.
func (s *Service) Plan(ctx context.Context, id string) (runbooks.Plan, error) {
	var plan runbooks.Plan
	history := s.client.GetWorkflowHistory(ctx, runbooks.WorkflowID(id), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	first, err := history.Next()
	if err != nil {
		return plan, notFound(err, "read the plan of run", id)
	}
	input := first.GetWorkflowExecutionStartedEventAttributes().GetInput()
	err = converter.GetDefaultDataConverter().FromPayloads(input, &plan)
	return plan, wrap(err, "read the plan of run %s", id)
}

// Find is a run as a list has it. Unlike a list it is never behind, and it needs
// no worker.
func (s *Service) Find(ctx context.Context, id string) (Row, error) {
	described, err := s.client.DescribeWorkflowExecution(ctx, runbooks.WorkflowID(id), "")
	if err != nil {
		return Row{}, notFound(err, "find run", id)
	}
	return rowOf(described.WorkflowExecutionInfo), nil
}

func notFound(err error, doing, id string) error {
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	return fmt.Errorf("%s %s: %w", doing, id, err)
}

// Hold says that there is no worker for now. Runs are then shown as they are
// kept, without waiting for the answer of a worker.
func (s *Service) Hold(held bool) { s.held.Store(held) }

// kept is a run as far as it can be known without a worker: an ended one whole,
// one under way as it was started, in no phase.
func (s *Service) kept(ctx context.Context, id string) (run.Run, error) {
	row, err := s.Find(ctx, id)
	if err != nil {
		return run.Run{}, err
	}
	if row.Status == run.Ended {
		var r run.Run
		err := s.client.GetWorkflow(ctx, runbooks.WorkflowID(id), "").Get(ctx, &r)
		return r, wrap(err, "read run %s", id)
	}
	plan, err := s.Plan(ctx, id)
	if err != nil {
		return run.Run{}, err
	}
	return run.Run{
		ID: id, Runbook: plan.Runbook, Digest: plan.Digest, Source: plan.Source, Mode: plan.Mode, Actor: plan.Actor,
		Reason: plan.Reason, Params: plan.Params, Alert: plan.Alert, Status: run.Running, StartedAt: row.StartedAt,
	}, nil
}
