package webhook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/runbooks"
)

// decideAll decides on each alert and waits until all that follows is durable.
// One failure does not keep the others from being started: what is durable now
// is a duplicate when Alertmanager sends the message again.
func (r *Receiver) decideAll(ctx context.Context, m *Message, alerts []runbooks.Alert) (int, error) {
	alerts, missing := r.complete(ctx, m, alerts)
	if err := r.hear(ctx, alerts); err != nil {
		return http.StatusServiceUnavailable, err
	}
	all := r.newWork(ctx, r.Metrics.Count)
	all.message = m
	for i := range alerts {
		all.decide(&alerts[i])
	}
	all.Wait()
	all.tellShed()
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

// work is what becomes of alerts that came together.
type work struct {
	*Receiver
	sync.WaitGroup
	ctx   context.Context
	set   *runbooks.Set
	actor string
	count func(metrics.Decision, int)
	// message is what brought the alerts; nil when none did.
	message *Message

	mu     sync.Mutex
	failed []error
	shed   int
}

func (r *Receiver) newWork(ctx context.Context, count func(metrics.Decision, int)) *work {
	return &work{Receiver: r, ctx: ctx, set: r.Set(), actor: actor(ctx), count: count}
}

// defaultActor starts the runs of an Alertmanager that needs no credentials.
const defaultActor = "alertmanager"

// actor is whose credentials came with the message.
func actor(ctx context.Context) string {
	if who := identity.FromContext(ctx).Name; who != identity.Local {
		return cmp.Or(who, defaultActor)
	}
	return defaultActor
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

func (w *work) decide(a *runbooks.Alert) {
	w.count(metrics.Received, 1)
	switch {
	case a.Own():
		w.note(metrics.Own, a)
	case a.Resolved():
		w.resolve(a)
	case w.episodes.fired(a):
		w.record(metrics.Stale, a, nil, "a late firing: this episode of the alert is over")
	default:
		w.fire(a)
	}
}

func (w *work) fire(a *runbooks.Alert) {
	matched := w.set.Match(a)
	if len(matched) == 0 {
		w.note(metrics.Unmatched, a)
	}
	for _, rb := range matched {
		w.count(metrics.Matched, 1)
		if reason := w.keptFrom(rb, a); reason != "" {
			w.record(metrics.Off, a, rb, reason)
			continue
		}
		w.beside(func() error { return w.start(rb, a) })
	}
}

// keptFrom is why a runbook must not run at all, or "".
func (w *work) keptFrom(rb *runbooks.Runbook, a *runbooks.Alert) string {
	if rb.Autonomy.Level == runbooks.Off {
		return "its autonomy is off"
	}
	if w.Witness == nil {
		return ""
	}
	if drill := w.Witness.Suspends(rb.Runbook, a.Labels); drill != "" {
		return "drill " + drill + " tries what happens without it"
	}
	return ""
}

func (w *work) start(rb *runbooks.Runbook, a *runbooks.Alert) error {
	if goesOn, err := w.flaps(rb, a); goesOn || err != nil {
		return err
	}
	if w.Full != nil && w.Full() {
		w.count(metrics.Shed, 1)
		w.shedOne()
		return errFull
	}
	plan := rb.ForAlert(*a)
	plan.Actor = w.actor
	started, err := w.Runs.Start(w.ctx, plan)
	switch {
	case err != nil:
		w.count(metrics.Failed, 1)
		return err
	case !started:
		w.count(metrics.Duplicate, 1)
		w.witness(a, metrics.Duplicate, plan.RunID())
		w.Log.Debug("the run is there already", "fingerprint", a.Fingerprint, "run", plan.RunID())
		return nil
	}
	w.count(metrics.Started, 1)
	w.witness(a, metrics.Started, plan.RunID())
	w.Log.Info("run started", "fingerprint", a.Fingerprint, "run", plan.RunID(), "mode", plan.Mode)
	if plan.Refusal != "" {
		w.record(metrics.Refused, a, rb, plan.Refusal)
	}
	return nil
}

// flaps gives a firing to the run of an episode just before it, if that is under
// way: within its healthy_delay that is the same trouble.
func (w *work) flaps(rb *runbooks.Runbook, a *runbooks.Alert) (goesOn bool, err error) {
	for _, id := range w.runsBefore(rb, a) {
		told, err := w.Runs.Refire(w.ctx, id, a.StartsAt)
		if err != nil {
			w.count(metrics.Failed, 1)
			return false, err
		}
		if told {
			w.record(metrics.Flapping, a, rb, "it was over for less than healthy_delay; run "+id+" goes on")
			return true, nil
		}
	}
	return false, nil
}

// runsBefore are the runs that a firing may belong to, besides its own.
func (w *work) runsBefore(rb *runbooks.Runbook, a *runbooks.Alert) (ids []string) {
	for _, startsAt := range w.episodes.before(a, time.Duration(rb.HealthyDelay)) {
		episode := *a
		episode.StartsAt = startsAt
		ids = append(ids, runbooks.RunID(rb.Runbook, episode.Episode()))
	}
	return ids
}

func (w *work) resolve(a *runbooks.Alert) {
	w.witness(a, metrics.Resolved, "")
	over := w.episodes.resolved(a)
	for _, rb := range w.set.Match(a) {
		if rb.Autonomy.Level == runbooks.Off {
			continue
		}
		for _, startsAt := range over {
			episode := *a
			episode.StartsAt = startsAt
			w.beside(func() error { return w.end(rb.ForAlert(episode), episode.EndsAt, w.runsBefore(rb, &episode)) })
		}
	}
}

// end tells the run of an episode that it is over, or the one before it that
// went on with it, and their pages.
func (w *work) end(plan runbooks.Plan, endsAt time.Time, before []string) error {
	told, err := w.settle(before, endsAt)
	if told {
		_, also := w.Runs.Settle(w.ctx, plan.RunID(), endsAt)
		err = errors.Join(err, also)
	} else if err == nil {
		told, err = w.Runs.Resolve(w.ctx, plan, endsAt)
	}
	for _, id := range append(before, plan.RunID()) {
		err = errors.Join(err, w.Runs.ResolvePage(w.ctx, id, endsAt))
	}
	switch {
	case err != nil:
		w.count(metrics.Failed, 1)
		return err
	case told:
		w.count(metrics.Resolved, 1)
	default:
		w.count(metrics.Ended, 1)
	}
	w.Log.Info("alert ended", "fingerprint", plan.Alert.Fingerprint, "run", plan.RunID(), "told", told)
	return nil
}

// settle tells those of the runs that are under way.
func (w *work) settle(ids []string, endsAt time.Time) (some bool, err error) {
	for _, id := range ids {
		told, failed := w.Runs.Settle(w.ctx, id, endsAt)
		some, err = some || told, errors.Join(err, failed)
	}
	return some, err
}

// beside runs what takes a round trip beside the others, within the limits of the
// receiver.
func (w *work) beside(do func() error) {
	if err := w.starts.Acquire(w.ctx, 1); err != nil {
		w.fail(fmt.Errorf("wait for a turn: %w", err))
		return
	}
	w.Go(func() {
		defer w.starts.Release(1)
		if err := do(); err != nil {
			w.fail(err)
		}
	})
}

// errFull is why an alert is shed.
var errFull = errors.New("the queue of runs is full; alerts are taken again when runs have ended")

func (w *work) shedOne() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.shed++
}

func (w *work) tellShed() {
	if w.shed > 0 {
		w.Log.Error("alerts are shed: the queue of runs is full; Alertmanager is told to send them again", "alerts", w.shed)
	}
}

func (w *work) note(d metrics.Decision, a *runbooks.Alert) {
	w.count(d, 1)
	w.witness(a, d, "")
	w.Log.Debug("nothing to start", "decision", d, "alert", bounded(a.Name()), "fingerprint", a.Fingerprint)
}

// record keeps in the audit file why an alert did not lead to an action.
func (w *work) record(d metrics.Decision, a *runbooks.Alert, rb *runbooks.Runbook, reason string) {
	name, digest := "", ""
	if rb != nil {
		name, digest = rb.Runbook, rb.Digest()
	}
	w.keep(d, a, name, digest, reason)
}

func (w *work) keep(d metrics.Decision, a *runbooks.Alert, runbook, digest, reason string) {
	w.count(d, 1)
	w.witness(a, d, "")
	w.Log.Info("alert not acted on", "decision", d, "fingerprint", a.Fingerprint, "runbook", runbook, "reason", reason)
	err := w.Audit.Write(audit.Entry{
		Kind: audit.Decision, Actor: w.actor, Alert: bounded(a.Name()), Episode: a.Episode(), Runbook: runbook, Digest: digest,
		Decision: string(d), Reason: reason,
	})
	if err != nil {
		w.Log.Error("the audit line of a decision is lost", "decision", d, "fingerprint", a.Fingerprint, "error", err)
	}
}

const maxLogged = 200

func bounded(text string) string {
	if len(text) > maxLogged {
		return strings.ToValidUTF8(text[:maxLogged], "") + "…"
	}
	return text
}
