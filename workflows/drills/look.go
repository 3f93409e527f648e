package drills

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

const (
	lookGrace   = 8 * time.Second
	alertsEvery = 500 * time.Millisecond
	stopEvery   = 100 * time.Millisecond
	faultEvery  = 500 * time.Millisecond
	faultLimit  = 2 * time.Second
)

// Look looks at everything for a while: probes, alerts, runs, and which targets
// there are.
func (a *Activities) Look(ctx context.Context, l Look) (Sight, error) {
	defer workflows.Beat(ctx, nil)()
	w := &watcher{Activities: a, look: l, until: time.Now().Add(chunk), notGood: map[string]time.Time{}}
	for probe, since := range l.NotGood {
		w.notGood[probe] = since
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	defer w.cancel()
	for _, p := range l.Plan.Steady {
		w.Go(func() { w.probe(p) })
	}
	w.Go(w.alerts)
	if l.Pending && a.Pending != nil {
		w.Go(w.pending)
	}
	w.Go(w.runs)
	w.Go(w.incarnation)
	w.Go(w.lock)
	for id, fault := range l.Injected {
		w.Go(func() { w.fault(chaos.ID(id), fault) })
	}
	if l.Abort {
		w.Go(w.halt)
	}
	w.Wait()
	return w.sight, ctx.Err()
}

type watcher struct {
	*Activities
	sync.WaitGroup
	look   Look
	ctx    context.Context
	cancel context.CancelFunc
	until  time.Time

	mu      sync.Mutex
	sight   Sight
	notGood map[string]time.Time
}

// stop ends the look early.
func (w *watcher) stop(by, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.look.Abort && w.sight.Stop == nil {
		w.sight.Stop = &gameday.Abort{At: time.Now(), By: by, Why: why}
		w.cancel()
	}
}

// rest waits for the next time, and reports false when the look is over.
func (w *watcher) rest(next time.Time) bool {
	if !next.Before(w.until) {
		return false
	}
	select {
	case <-w.ctx.Done():
		return false
	case <-time.After(time.Until(next)):
		return true
	}
}

func (w *watcher) probe(p gameday.PlanProbe) {
	series := gameday.Series{ID: p.ID}
	next := w.look.Last[p.ID].Add(time.Duration(p.Every))
	for w.rest(next) {
		asked := time.Now()
		sample := w.sample(p, asked)
		if w.ctx.Err() != nil {
			break // it was cut short, and says nothing of the system
		}
		series.Samples = append(series.Samples, sample)
		w.felt(p, sample)
		next = asked.Add(time.Duration(p.Every))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sight.Probes = append(w.sight.Probes, series)
}

// sample looks once. What a look gave is kept where it says something new.
func (w *watcher) sample(p gameday.PlanProbe, asked time.Time) gameday.Sample {
	s := gameday.Sample{At: asked, State: p.NoAnswer}
	ctx, cancel := context.WithTimeout(w.ctx, time.Duration(p.Limit))
	defer cancel()
	output, err := w.read(ctx, p)
	s.Took = time.Since(asked)
	if err != nil {
		s.Error = err.Error()
		return s
	}
	good, err := w.Evaluator.Until(p.Do, p.Expect, output)
	switch {
	case err != nil:
		s.Error = err.Error()
	case good:
		s.State = gameday.Good
	default:
		s.State = gameday.Bad
	}
	if s.Output = output; len(output) > maxSample {
		s.Output = nil
	}
	return s
}

// maxSample is what the evidence keeps of one look, in bytes.
const maxSample = 512

func (w *watcher) read(ctx context.Context, p gameday.PlanProbe) ([]byte, error) {
	action, known := w.Catalog.Get(p.Do)
	if !known {
		return nil, fmt.Errorf("this engine has no action %q", p.Do)
	}
	bound, problems := action.Bind(p.With)
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("parameters of %s: %w", p.Do, err)
	}
	if action.Risk.Writes() || action.Selects {
		return nil, fmt.Errorf("%s is no probe", p.Do)
	}
	target := bound.OnlyTarget()
	return bound.Run(ctx, actions.Key(w.look.ID+"/"+p.ID), *target)
}

// felt stops the drill when a probe was not good for too long.
func (w *watcher) felt(p gameday.PlanProbe, s gameday.Sample) {
	w.mu.Lock()
	if s.State == gameday.Good {
		delete(w.notGood, p.ID)
	} else if _, already := w.notGood[p.ID]; !already {
		w.notGood[p.ID] = s.At
	}
	since, not := w.notGood[p.ID]
	w.mu.Unlock()
	if not && s.End().Sub(since) >= time.Duration(p.AbortAfter) {
		w.stop(gameday.AbortProbe, fmt.Sprintf("%s was not good for %s", p.ID, p.AbortAfter))
	}
}

// alerts asks Alertmanager what fires, again and again. A look without an answer
// is a break in the watching. A real alert ends the look: not each one comes by the
// webhook too.
func (w *watcher) alerts() {
	sieve, err := w.look.Plan.Sieve()
	if err != nil {
		w.note(err.Error())
		return
	}
	var watch *gameday.Watch
	firing := map[string]gameday.Alert{}
	for next := time.Now(); w.rest(next); next = next.Add(alertsEvery) {
		asked := time.Now()
		list, err := w.Alerts(w.ctx)
		switch {
		case w.ctx.Err() != nil:
		case err != nil:
			w.note("alertmanager did not answer: " + err.Error())
			watch = w.watched(watch)
		default:
			if watch == nil {
				watch = &gameday.Watch{What: gameday.WatchAlerts, From: asked}
			}
			watch.To = time.Now()
			for _, one := range list {
				remember(firing, one, asked)
				if sieve.Real(one.Labels) && !one.Suppressed {
					w.stop(gameday.AbortAlert, incident(one))
				}
			}
		}
	}
	w.watched(watch)
	w.sift(sieve, firing)
}

// pending asks until the expected alert is on its way.
func (w *watcher) pending() {
	sieve, err := w.look.Plan.Sieve()
	for next := time.Now(); err == nil && w.rest(next); next = next.Add(alertsEvery) {
		asked := time.Now()
		var list []map[string]string
		if list, err = w.Pending(w.ctx); err == nil && slices.ContainsFunc(list, sieve.Expected) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.sight.Pending = asked
			return
		}
	}
	if err != nil && w.ctx.Err() == nil {
		w.note("whether the alert is pending is not known: " + err.Error())
	}
}

// sift says what the plan means by each alert, and leaves out those that mean
// nothing to it, of which there may be thousands. It is done here, because
// compiling matchers has no place in workflow code.
func (w *watcher) sift(sieve gameday.Sieve, firing map[string]gameday.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range firing {
		if !sieve.Concerns(one.Labels) {
			continue
		}
		one.Expected = sieve.Expected(one.Labels)
		w.sight.Alerts = append(w.sight.Alerts, one)
		if sieve.Real(one.Labels) && !one.Suppressed {
			w.sight.Real = append(w.sight.Real, one.Fingerprint)
		}
	}
	slices.Sort(w.sight.Real)
	slices.SortFunc(w.sight.Alerts, func(x, y gameday.Alert) int { return x.ActiveSeen.Compare(y.ActiveSeen) })
}

func remember(firing map[string]gameday.Alert, one gameday.Alert, at time.Time) {
	key := one.Fingerprint + one.StartsAt.String()
	known, already := firing[key]
	if !already {
		known = one
		known.ActiveSeen = at
	}
	known.Suppressed = known.Suppressed || one.Suppressed
	firing[key] = known
}

func (w *watcher) watched(watch *gameday.Watch) *gameday.Watch {
	if watch != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.sight.Watched = append(w.sight.Watched, *watch)
	}
	return nil
}

func (w *watcher) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sight.Notes = append(w.sight.Notes, text)
}

// runs asks once, near the end of the look: a run knows its own times.
func (w *watcher) runs() {
	if !w.rest(w.until.Add(-chunk / 4)) {
		return
	}
	at := time.Now()
	all, people, err := w.Runs(w.ctx, w.look.Since)
	if err != nil {
		if w.ctx.Err() == nil {
			w.note("the runs could not be listed: " + err.Error())
		}
		return
	}
	w.watched(&gameday.Watch{What: gameday.WatchRuns, From: at, To: time.Now()})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sight.Runs, w.sight.Interventions = all, people
}

// incarnation asks which targets there are. A system under fault may not answer;
// then there is none.
func (w *watcher) incarnation() {
	ctx, cancel := context.WithDeadline(w.ctx, w.until)
	defer cancel()
	seen := gameday.Incarnation{At: time.Now()}
	for _, f := range w.look.Plan.Faults {
		bound, err := w.bind(f)
		if err != nil {
			return
		}
		selection, err := bound.Targets(ctx)
		if err != nil {
			return
		}
		seen.IDs = append(seen.IDs, selection.IDs()...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sight.Incarnation = &seen
}

// fault asks again and again whether a fault is still there. A system that does
// not answer has not said that it is gone. What holds a fault in its memory and
// does not answer has said nothing: the fault may have ended with it.
func (w *watcher) fault(id chaos.ID, fault string) {
	at := slices.IndexFunc(w.look.Plan.Faults, func(f gameday.PlanFault) bool { return f.ID == fault })
	if at < 0 || w.look.Plan.Faults[at].OneShot {
		return
	}
	bound, err := w.bind(w.look.Plan.Faults[at])
	if err != nil {
		w.note(err.Error())
		return
	}
	standing := Standing{ID: string(id)}
	for next := time.Now(); w.rest(next) && standing.Gone.IsZero(); next = next.Add(faultEvery) {
		asked := time.Now()
		ctx, cancel := context.WithTimeout(w.ctx, faultLimit)
		err := bound.Healed(ctx, id)
		cancel()
		switch {
		case w.ctx.Err() != nil:
		case err == nil:
			standing.Gone = asked
		case !errors.Is(err, chaos.ErrHolderSilent):
			standing.There = asked
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sight.Faults = append(w.sight.Faults, standing)
}

// lock keeps the lock on the resource.
func (w *watcher) lock() {
	if w.look.Token == 0 {
		return
	}
	op := ledger.Op{Confirm: &ledger.Confirm{Run: w.look.ID, Token: w.look.Token, Keep: leaseFor}}
	answer, err := w.Ledger.Apply(w.ctx, op)
	switch {
	case w.ctx.Err() != nil:
	case err != nil:
		w.stop(gameday.AbortEngine, "the lock on the resource could not be confirmed: "+err.Error())
	case answer.State != ledger.Admitted:
		w.stop(gameday.AbortEngine, "the lock on the resource is lost: "+answer.Reason)
	}
}

// halt heeds the kill switch.
func (w *watcher) halt() {
	for next := time.Now(); w.rest(next); next = next.Add(stopEvery) {
		if halted := w.Halted(); halted != "" {
			w.stop(gameday.AbortEngine, halted)
		}
	}
}
