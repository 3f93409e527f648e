package workflows

import (
	"context"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/run"
)

// classHalted marks a call that the kill switch kept from being made.
const classHalted = "halted"

const (
	haltAgain = 2 * time.Second // until a halted run looks again
	haltSlow  = 30 * time.Second
)

// halted is why nothing may be done now, or "".
func (a *Activities) halted() string {
	if a.Halted == nil {
		return ""
	}
	return a.Halted()
}

// refuseHalted keeps a call from being made. Nothing was done: it is made when
// the engine goes on.
func (a *Activities) refuseHalted() error {
	if reason := a.halted(); reason != "" {
		return temporal.NewNonRetryableApplicationError(reason, classHalted, nil)
	}
	return nil
}

// Gate answers whether the engine is halted.
func (a *Activities) Gate(context.Context) (reason string, err error) { return a.halted(), nil }

func isHalted(err error) bool { return err != nil && classOf(err) == classHalted }

// standStill waits until the engine goes on, or there is no more point in it.
// Halts can last: the run looks less and less often. The context is that of the
// coroutine that waits.
func (r *remediation) standStill(ctx workflow.Context, reason string, pointless func() bool) {
	r.event("halted", "", "", "stands still: "+reason)
	asking, stop := workflow.NewDisconnectedContext(ctx)
	defer stop()
	for pause := haltAgain; reason != "" && !pointless(); pause = min(2*pause, haltSlow) {
		r.run.Halted = reason
		r.keep(asking, pause+haltSlow)
		if err := workflow.Sleep(ctx, pause); err != nil {
			break
		}
		if err := workflow.ExecuteLocalActivity(local(asking), ActivityGate).Get(asking, &reason); err != nil {
			reason = "the kill switch can not be read: " + message(err)
		}
	}
	r.run.Halted = ""
	if reason == "" {
		r.event("resumed", "", "", "goes on")
	}
}

// gated makes a call as soon as the engine is not halted, unless that becomes
// pointless.
func (r *remediation) gated(ctx workflow.Context, pointless func() bool, call func() error) error {
	for {
		err := call()
		if !isHalted(err) {
			return err
		}
		r.standStill(ctx, message(err), pointless)
		if ctx.Err() != nil || pointless() {
			return errStopped
		}
	}
}

// never: what is taken back is taken back however long that takes.
func never() bool { return false }

var errStopped = temporal.NewNonRetryableApplicationError("stopped while the engine was halted", string(run.Cancelled), nil)
