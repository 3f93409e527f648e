package runs

import (
	"context"
	"errors"
	"fmt"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

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
