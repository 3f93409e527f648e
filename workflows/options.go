package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/runbooks"
)

// RaiseAction is the action by which a document tells people.
const RaiseAction = "alertmanager.raise"

// maxReason is what a search attribute takes of a reason, in characters; a
// database behind Temporal may have no room for more.
const maxReason = 200

// Listed is a reason as a list shows it.
func Listed(reason string) string {
	if chars := []rune(reason); len(chars) > maxReason {
		return string(chars[:maxReason]) + "…"
	}
	return reason
}

const (
	grace       = 10 * time.Second // for an activity to notice that its own limit is over
	maxAttempts = 4
	workerStop  = 5 * time.Second
)

func local(ctx workflow.Context) workflow.Context {
	return workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy:         retries(maxAttempts),
	})
}

// retries is the one policy of this layer: bounded, and never for what is
// marked permanent.
func retries(attempts int32) *temporal.RetryPolicy {
	return &temporal.RetryPolicy{
		InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second, MaximumAttempts: attempts,
	}
}

func options(ctx workflow.Context, limit time.Duration, attempts int32) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: limit + grace,
		HeartbeatTimeout:    HeartbeatTimeout,
		RetryPolicy:         retries(attempts),
		WaitForCancellation: true,
	})
}

func targetOptions(ctx workflow.Context, p runbooks.Prepared) workflow.Context {
	return options(ctx, duration(p.Limit), maxAttempts)
}

func runOptions(ctx workflow.Context, p runbooks.Prepared) workflow.Context {
	if p.Once {
		return options(ctx, duration(p.Limit), 1)
	}
	return options(ctx, duration(p.Limit), maxAttempts)
}

// An undo and a call for people are worth more patience than a step.
func undoOptions(ctx workflow.Context) workflow.Context  { return options(ctx, time.Minute, 10) }
func raiseOptions(ctx workflow.Context) workflow.Context { return options(ctx, 20*time.Second, 10) }

func watchOptions(ctx workflow.Context, w Watch, c *runbooks.Check, p runbooks.Prepared) workflow.Context {
	limit := duration(p.Limit)
	if !w.Once {
		limit += duration(c.Within) + duration(c.Hold) + duration(c.Every)
	}
	// A worker that takes over goes on from the heartbeat, under the same deadline.
	return options(ctx, limit, 100)
}

func callKey(runID, step string) actions.Key { return actions.Key(runID + "/" + step) }

// message is an error without the wrapping of Temporal, for people.
func message(err error) string {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	var canceled *temporal.CanceledError
	switch {
	case errors.As(err, &timeout):
		return fmt.Sprintf("no answer in time (%s)", timeout.TimeoutType())
	case errors.As(err, &app):
		return app.Message()
	case errors.As(err, &canceled):
		return "stopped"
	default:
		return err.Error()
	}
}

// classOf: what timed out may have happened.
func classOf(err error) actions.Class {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &timeout):
		return actions.ClassAmbiguous
	case errors.As(err, &app):
		return actions.Class(app.Type())
	default:
		return actions.ClassTransient
	}
}
