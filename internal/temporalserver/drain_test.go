//go:build !noembedded

package temporalserver

import (
	"context"
	"testing"

	"go.temporal.io/api/workflowservice/v1"
)

func TestLongPollsEndWithTheServer(t *testing.T) {
	wait := func(ctx context.Context, _ any) (any, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for _, poll := range []any{
		&workflowservice.PollWorkflowTaskQueueRequest{},
		&workflowservice.PollActivityTaskQueueRequest{},
		&workflowservice.PollNexusTaskQueueRequest{},
		&workflowservice.PollWorkflowExecutionUpdateRequest{},
		&workflowservice.GetWorkflowExecutionHistoryRequest{WaitNewEvent: true},
	} {
		d := newDrain()
		d.stop()
		if _, err := d.intercept(t.Context(), poll, nil, wait); err == nil {
			t.Errorf("%T went on", poll)
		}
	}
}

func TestOtherCallsAreFinished(t *testing.T) {
	d := newDrain()
	d.stop()
	answer := func(ctx context.Context, _ any) (any, error) { return "done", ctx.Err() }
	for _, call := range []any{
		&workflowservice.StartWorkflowExecutionRequest{},
		&workflowservice.RespondActivityTaskCompletedRequest{},
		&workflowservice.GetWorkflowExecutionHistoryRequest{},
	} {
		if _, err := d.intercept(t.Context(), call, nil, answer); err != nil {
			t.Errorf("%T: %v", call, err)
		}
	}
}
