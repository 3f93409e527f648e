package engine

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/reconcile"
	"github.com/runbook-engine/runbook/internal/webhook"
)

// openReceiver makes what decides on alerts, those of messages and those that no
// message brought.
func (e *Engine) openReceiver(ctx context.Context) (*webhook.Receiver, error) {
	r := webhook.New(webhook.Options{
		Set: e.documents.Set, Runs: e.runs, Alertmanagers: e.alertmanagers, Ready: e.health.Ready, Full: e.full,
		Metrics: e.metrics, Audit: e.audit, Log: e.log,
		Witness: e.attendance, Shared: e.config.Temporal.Address != "",
		MaxBody: int64(e.config.Webhook.MaxBody), Wait: time.Duration(e.config.Webhook.Wait),
	})
	if err := r.Recall(ctx); err != nil {
		return nil, err
	}
	if e.config.Webhook.Reconcile > 0 && len(e.alertmanagers) > 0 {
		e.reconciler = reconcile.New(reconcile.Options{
			Alertmanagers: e.alertmanagers, Receiver: r, Runs: e.runs, Set: e.documents.Set, Metrics: e.metrics, Log: e.log,
			Receivers: e.config.Webhook.Receiver, Every: time.Duration(e.config.Webhook.Reconcile),
		})
	}
	return r, nil
}

// reconcile asks what fires until ctx ends, where that is wanted.
func (e *Engine) reconcile(ctx context.Context) {
	if e.reconciler != nil {
		e.reconciler.Run(ctx, e.health.Ready)
	}
}

// leastReconcile keeps a mistyped unit from asking all the time.
const leastReconcile = model.Duration(10 * time.Second)

func (w Webhook) check() error {
	if w.Reconcile > 0 && w.Reconcile < leastReconcile {
		return fmt.Errorf("webhook.reconcile must be at least %s, or 0s to turn it off", leastReconcile)
	}
	if _, err := regexp.Compile(w.Receiver); err != nil {
		return fmt.Errorf("webhook.receiver is no pattern: %w", err)
	}
	return nil
}
