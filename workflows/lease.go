package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// allow is the last question before an effect: the engine is not halted, and the
// run holds its lease for as long as the context lasts.
func (c caller) allow(ctx context.Context, call Call) (acting context.Context, release func() error, err error) {
	if tells(c.action.Name) {
		return ctx, func() error { return nil }, nil
	}
	if !c.action.Risk.Writes() {
		stop := c.keepLease(ctx, call.Run, call.Token)
		return ctx, func() error { stop(); return nil }, nil
	}
	if err := c.refuseHalted(); err != nil {
		return nil, nil, err
	}
	if call.Token == 0 || c.Ledger == nil {
		return ctx, func() error { return nil }, nil
	}
	acting, release, err = c.Ledger.Hold(ctx, call.Run, call.Token)
	if err != nil {
		return nil, nil, coded(fmt.Errorf("prove the lease of run %s: %w", call.Run, err))
	}
	// The proof may have taken its time.
	if err := c.refuseHalted(); err != nil {
		// That the lease was lost as well takes nothing away from it.
		_ = release()
		return nil, nil, err
	}
	return acting, release, nil
}

// lostWhile says what an error means when the lease was lost meanwhile: the
// effect was cut short, and may have happened.
func lostWhile(lost, err error) error {
	if lost == nil || err == nil {
		return err
	}
	return actions.Ambiguous(fmt.Errorf("cut short, because the lease could not be kept: %w", errors.Join(lost, err)))
}

// keepEvery is well within the shortest lease.
const keepEvery = 1500 * time.Millisecond

// keepLease confirms a lease for as long as something is read.
func (c caller) keepLease(ctx context.Context, runID string, token int64) (stop func()) {
	if token == 0 || c.Ledger == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		ticker := time.NewTicker(keepEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// The next effect asks again, and does not begin without its lease.
				_, _ = c.Ledger.Apply(ctx, ledger.Op{Confirm: &ledger.Confirm{Run: runID, Token: token}})
			}
		}
	}()
	return cancel
}
