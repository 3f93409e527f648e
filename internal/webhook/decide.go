package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"go.temporal.io/api/serviceerror"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/runbooks"
)

// decideAll decides on each alert and waits until all that follows is durable.
// One failure does not keep the others from being started: what is durable now
// is a duplicate when Alertmanager sends the message again.
func (r *Receiver) decideAll(ctx context.Context, m *Message, alerts []runbooks.Alert) (int, error) {
	alerts, missing := r.complete(ctx, m, alerts)
	set := r.Set()
	var all work
	for i := range alerts {
		r.decide(ctx, &all, set, &alerts[i])
	}
	all.Wait()
	return all.status(missing)
}

// complete adds the alerts that max_alerts cut off.
func (r *Receiver) complete(ctx context.Context, m *Message, alerts []runbooks.Alert) ([]runbooks.Alert, error) {
	if m.TruncatedAlerts == 0 {
		return alerts, nil
	}
	if len(r.Alertmanagers) == 0 {
		r.Metrics.Count(metrics.Truncated, int(m.TruncatedAlerts))
		r.Log.Error("alerts were left out of a message, and no Alertmanager is configured to fetch them from; "+
			"remove max_alerts from the receiver or configure alertmanagers",
			"truncated", m.TruncatedAlerts, "receiver", m.Receiver)
		return alerts, nil
	}
	more, err := rest(ctx, r.Alertmanagers, m)
	return merge(alerts, more), err
}

// work is what a message led to.
type work struct {
	sync.WaitGroup
	mu     sync.Mutex
	failed []error
}

func (w *work) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = append(w.failed, err)
}

// status is the answer. What Temporal will never take is not worth another try,
// which 503 would ask for.
func (w *work) status(missing error) (int, error) {
	all := w.failed
	if missing != nil {
		all = append(all, missing)
	}
	if len(all) == 0 {
		return http.StatusOK, nil
	}
	err := fmt.Errorf("%d of what this message asks for is not done, first: %w", len(all), all[0])
	for _, one := range all {
		var invalid *serviceerror.InvalidArgument
		if !errors.As(one, &invalid) {
			return http.StatusServiceUnavailable, err
		}
	}
	return http.StatusBadRequest, err
}

func (r *Receiver) decide(ctx context.Context, all *work, set *runbooks.Set, a *runbooks.Alert) {
	r.Metrics.Count(metrics.Received, 1)
	switch {
	case a.Own():
		r.note(metrics.Own, a)
	case a.Resolved():
		r.resolve(ctx, all, set, a)
	case r.episodes.fired(a):
		r.record(metrics.Stale, a, nil, "a late firing: this episode of the alert is over")
	default:
		r.fire(ctx, all, set, a)
	}
}

func (r *Receiver) fire(ctx context.Context, all *work, set *runbooks.Set, a *runbooks.Alert) {
	matched := set.Match(a)
	if len(matched) == 0 {
		r.note(metrics.Unmatched, a)
	}
	for _, rb := range matched {
		r.Metrics.Count(metrics.Matched, 1)
		if rb.Autonomy.Level == runbooks.Off {
			r.record(metrics.Off, a, rb, "its autonomy is off")
			continue
		}
		r.beside(ctx, all, func() error { return r.start(ctx, rb, a) })
	}
}

func (r *Receiver) start(ctx context.Context, rb *runbooks.Runbook, a *runbooks.Alert) error {
	plan := rb.ForAlert(*a)
	started, err := r.Runs.Start(ctx, plan)
	switch {
	case err != nil:
		r.Metrics.Count(metrics.Failed, 1)
		return err
	case !started:
		r.Metrics.Count(metrics.Duplicate, 1)
		r.Log.Debug("the run is there already", "fingerprint", a.Fingerprint, "run", plan.RunID())
		return nil
	}
	r.Metrics.Count(metrics.Started, 1)
	r.Log.Info("run started", "fingerprint", a.Fingerprint, "run", plan.RunID(), "mode", plan.Mode)
	if plan.Refusal != "" {
		r.record(metrics.Refused, a, rb, plan.Refusal)
	}
	return nil
}

func (r *Receiver) resolve(ctx context.Context, all *work, set *runbooks.Set, a *runbooks.Alert) {
	over := r.episodes.resolved(a)
	for _, rb := range set.Match(a) {
		if rb.Autonomy.Level == runbooks.Off {
			continue
		}
		for _, startsAt := range over {
			episode := *a
			episode.StartsAt = startsAt
			r.beside(ctx, all, func() error { return r.end(ctx, rb, &episode) })
		}
	}
}

func (r *Receiver) end(ctx context.Context, rb *runbooks.Runbook, a *runbooks.Alert) error {
	plan := rb.ForAlert(*a)
	told, err := r.Runs.Resolve(ctx, plan, a.EndsAt)
	switch {
	case err != nil:
		r.Metrics.Count(metrics.Failed, 1)
		return err
	case told:
		r.Metrics.Count(metrics.Resolved, 1)
	default:
		r.Metrics.Count(metrics.Ended, 1)
	}
	r.Log.Info("alert ended", "fingerprint", a.Fingerprint, "run", plan.RunID(), "told", told)
	return nil
}

// beside runs what takes a round trip beside the others, within the limits of the
// receiver.
func (r *Receiver) beside(ctx context.Context, all *work, do func() error) {
	if err := r.starts.Acquire(ctx, 1); err != nil {
		all.fail(fmt.Errorf("wait for a turn: %w", err))
		return
	}
	all.Go(func() {
		defer r.starts.Release(1)
		if err := do(); err != nil {
			all.fail(err)
		}
	})
}

func (r *Receiver) note(d metrics.Decision, a *runbooks.Alert) {
	r.Metrics.Count(d, 1)
	r.Log.Debug("nothing to start", "decision", d, "alert", bounded(a.Name()), "fingerprint", a.Fingerprint)
}

// record keeps in the audit file why an alert did not lead to an action.
func (r *Receiver) record(d metrics.Decision, a *runbooks.Alert, rb *runbooks.Runbook, reason string) {
	r.Metrics.Count(d, 1)
	entry := audit.Entry{
		Kind: audit.Decision, Actor: "alertmanager", Alert: bounded(a.Name()), Episode: a.Episode(), Decision: string(d), Reason: reason,
	}
	if rb != nil {
		entry.Runbook, entry.Digest = rb.Runbook, rb.Digest()
	}
	r.Log.Info("alert not acted on", "decision", d, "fingerprint", a.Fingerprint, "runbook", entry.Runbook, "reason", reason)
	if err := r.Audit.Write(entry); err != nil {
		r.Log.Error("the audit line of a decision is lost", "decision", d, "fingerprint", a.Fingerprint, "error", err)
	}
}

const maxLogged = 200

func bounded(text string) string {
	if len(text) > maxLogged {
		return strings.ToValidUTF8(text[:maxLogged], "") + "…"
	}
	return text
}
