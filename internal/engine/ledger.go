package engine

import (
	"context"
	"strconv"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// openLedger connects the engine with the ledger of its namespace.
func (e *Engine) openLedger() error {
	e.ledger = admission.New(e.client, e.config.Temporal.TaskQueue, func() ledger.Limits { return e.config.Guards.Limits })
	e.halt.Join(halt.Through(e.ledger))
	return nil
}

// judge says what runbooks may do by themselves here.
func (e *Engine) judge() judge {
	return judge{environment: e.config.Autonomy, windows: e.windows.at, proofs: e.proofs, tries: e.attendance.Tries}
}

func (e *Engine) proofs(ctx context.Context) (all []ledger.Proof, err error) {
	snapshot, err := e.ledger.Snapshot(ctx)
	return snapshot.Proofs(), err
}

// firing asks whether an alert still fires, muted or not. Its labels may have
// been cut; its fingerprint is that of the whole.
func (e *Engine) firing(ctx context.Context, a *runbooks.Alert) (bool, error) {
	if a.Cut() {
		return e.alertmanagers.Fires(ctx, a.Fingerprint)
	}
	return e.alertmanagers.Fires(ctx, a.Fingerprint, model.AlertNameLabel+"="+strconv.Quote(a.Name()))
}

// full reports that no more runs may wait.
func (e *Engine) full() bool { return e.brief.Load() != nil && e.brief.Load().Full }

// heed follows what the ledger says of the storm breaker and the queue.
func (e *Engine) heed(ctx context.Context) {
	e.ledger.Watch(ctx, func(b ledger.Brief, err error) {
		if err != nil {
			e.log.Warn("the ledger can not be looked at", "error", err)
			return
		}
		before := e.brief.Swap(&b)
		if b.Full && (before == nil || !before.Full) {
			e.log.Error("the queue of runs is full: alerts are answered with 503 until runs have ended")
		}
		e.heedStorm(ctx, before, b)
		e.heedHalt(ctx, before, b)
	})
}
