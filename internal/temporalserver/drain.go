//go:build !noembedded

package temporalserver

import (
	"context"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// drain ends the long polls when the server stops. Some belong to workers of the server itself that nothing stops, and
// the frontend would wait a second for them.
type drain struct {
	stopping context.Context
	stop     context.CancelFunc
}

func newDrain() drain {
	ctx, cancel := context.WithCancel(context.Background())
	return drain{stopping: ctx, stop: cancel}
}

func (d drain) intercept(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if !longPoll(req) {
		return handle(ctx, req)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.stopping, cancel)()
	return handle(ctx, req)
}

func longPoll(req any) bool {
	switch r := req.(type) {
	case *workflowservice.PollWorkflowTaskQueueRequest,
		*workflowservice.PollActivityTaskQueueRequest,
		*workflowservice.PollNexusTaskQueueRequest,
		*workflowservice.PollWorkflowExecutionUpdateRequest:
		return true
	case *workflowservice.GetWorkflowExecutionHistoryRequest:
		return r.WaitNewEvent
	}
	return false
}
