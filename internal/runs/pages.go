package runs

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"

	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// EndPage settles a page, on behalf of a person. It is ErrNotFound for one that
// never was and ErrEnded for one that has ended.
func (s *Service) EndPage(ctx context.Context, id string, end workflows.PageEnd) error {
	told, err := s.signal(ctx, workflows.PageID(id), workflows.SignalPageEnd, end)
	if err != nil || told {
		return wrap(err, "end page %s", id)
	}
	if _, err := s.client.DescribeWorkflowExecution(ctx, workflows.PageID(id), ""); err != nil {
		return notFound(err, "find page", id)
	}
	return fmt.Errorf("end page %s: %w", id, ErrEnded)
}

// AwaitPage waits for the end of a page that was settled: its alert then fires in
// no Alertmanager that could be told.
func (s *Service) AwaitPage(ctx context.Context, id string) (ended workflows.PageEnded, err error) {
	if err := s.client.GetWorkflow(ctx, workflows.PageID(id), "").Get(ctx, &ended); err != nil {
		return ended, fmt.Errorf("wait for the end of page %s: %w", id, err)
	}
	return ended, nil
}

// ResolvePage settles the page of a run, if there is one, because its alert has
// ended.
func (s *Service) ResolvePage(ctx context.Context, runID string, endsAt time.Time) error {
	_, err := s.signal(ctx, workflows.PageID(runID), workflows.SignalResolved, workflows.Resolution{EndsAt: endsAt})
	return wrap(err, "end the page of run %s", runID)
}

// Refire tells a run that is under way that its alert fires again. It reports
// false when there is no such run.
func (s *Service) Refire(ctx context.Context, runID string, startsAt time.Time) (told bool, err error) {
	told, err = s.signal(ctx, runbooks.WorkflowID(runID), workflows.SignalFiring, workflows.Relapse{StartsAt: startsAt})
	return told, wrap(err, "tell run %s that its alert fires again", runID)
}

// Settle tells a run that is under way that its alert has ended. Unlike Resolve
// it leaves nothing where there is no such run, and reports false.
func (s *Service) Settle(ctx context.Context, runID string, endsAt time.Time) (told bool, err error) {
	told, err = s.signal(ctx, runbooks.WorkflowID(runID), workflows.SignalResolved, workflows.Resolution{EndsAt: endsAt})
	return told, wrap(err, "tell run %s that its alert has ended", runID)
}

// signal reports false when the workflow is not under way.
func (s *Service) signal(ctx context.Context, workflowID, name string, arg any) (told bool, err error) {
	err = s.client.SignalWorkflow(ctx, workflowID, "", name, arg)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return false, nil
	}
	return err == nil, err
}

// OpenPages are the ids of the pages that are not settled.
func (s *Service) OpenPages(ctx context.Context) (ids []string, err error) {
	var page []byte
	for {
		answer, err := s.client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			PageSize: 1000, NextPageToken: page,
			Query: fmt.Sprintf("WorkflowType = '%s' AND ExecutionStatus = 'Running'", workflows.PageType),
		})
		if err != nil {
			return nil, fmt.Errorf("list the open pages: %w", err)
		}
		for _, e := range answer.Executions {
			if id, ok := workflows.PageIDOf(e.Execution.WorkflowId); ok && e.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
				ids = append(ids, id)
			}
		}
		if page = answer.NextPageToken; len(page) == 0 {
			return ids, nil
		}
	}
}
