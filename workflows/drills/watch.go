package drills

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// Task is what activities are told of a drill.
type Task struct {
	ID    string       `json:"id"`
	By    string       `json:"by"`
	Plan  gameday.Plan `json:"plan"`
	Token int64        `json:"token,omitempty"` // of the lease on the resource
	Since time.Time    `json:"since"`           // the start of the drill
}

func (d *drill) task() Task {
	return Task{ID: d.ID, By: d.By, Plan: d.Plan, Token: d.token, Since: d.StartedAt}
}

// Look asks to look at everything for a while.
type Look struct {
	Task
	// Last is when each probe was asked last, and NotGood since when it is not.
	Last    map[string]time.Time `json:"last,omitempty"`
	NotGood map[string]time.Time `json:"not_good,omitempty"`
	// Abort ends the look as soon as a probe is not good for too long, the lock is
	// lost or the engine is halted.
	Abort bool `json:"abort,omitempty"`
	// Injected are the faults that are there, by the ids of their injections.
	Injected map[string]string `json:"injected,omitempty"`
	// Pending asks when the expected alert is pending.
	Pending bool `json:"pending,omitempty"`
}

// Standing is whether a fault was still there: the last look that found it, and
// the first that did not.
type Standing struct {
	ID    string    `json:"id"`
	There time.Time `json:"there,omitzero"`
	Gone  time.Time `json:"gone,omitzero"`
}

// Sight is what was seen in a look.
type Sight struct {
	Probes        []gameday.Series       `json:"probes,omitempty"`
	Alerts        []gameday.Alert        `json:"alerts,omitempty"` // as Alertmanager has them
	Real          []string               `json:"real,omitempty"`   // fingerprints of those that are an incident
	Pending       time.Time              `json:"pending,omitzero"` // when the expected alert was first seen to be pending
	Runs          []gameday.Run          `json:"runs,omitempty"`
	Interventions []gameday.Intervention `json:"interventions,omitempty"`
	Watched       []gameday.Watch        `json:"watched,omitempty"`
	Incarnation   *gameday.Incarnation   `json:"incarnation,omitempty"`
	Faults        []Standing             `json:"faults,omitempty"`
	Stop          *gameday.Abort         `json:"stop,omitempty"`
	Notes         []string               `json:"notes,omitempty"`
}

// look looks at everything once, for a while. It reports false when there is
// nothing more to look for, because the drill was aborted.
func (d *drill) look() bool {
	l := Look{Task: d.task(), Last: d.asked(), NotGood: d.notGood, Abort: !d.over() && d.Phase != Baseline, Injected: d.injected(), Pending: d.awaitsAlert()}
	var s Sight
	ctx := d.within(d.watching, chunk+lookGrace, 0)
	if err := workflow.ExecuteActivity(ctx, ActivityLook, l).Get(ctx, &s); err != nil {
		if !d.aborted() && d.watching.Err() == nil {
			d.note("a look failed: %s", message(err))
			return workflow.Sleep(d.watching, time.Second) == nil
		}
		return false
	}
	d.absorb(s)
	return !d.aborted() || d.over()
}

// asked is when each probe was asked last. After the healing each is asked at
// once.
func (d *drill) asked() map[string]time.Time {
	last := map[string]time.Time{}
	for _, s := range d.Evidence.Probes {
		if n := len(s.Samples); n > 0 && d.sameStage(s.Samples[n-1].At) {
			last[s.ID] = s.Samples[n-1].At
		}
	}
	return last
}

// injected are the faults that must be there until they are healed.
func (d *drill) injected() map[string]string {
	there := map[string]string{}
	for _, i := range d.Evidence.Injections {
		if !i.Injected.IsZero() && i.Gone.IsZero() && i.HealIssued.IsZero() {
			there[i.ID] = i.Fault
		}
	}
	return there
}

// awaitsAlert: something was done, and the expected alert has not come.
func (d *drill) awaitsAlert() bool {
	return d.Plan.Expect.Alert != nil && len(d.Evidence.Injections) > 0 && d.Evidence.Pending.IsZero() && !d.alerted() && !d.over()
}

// stand keeps what was seen of a fault before anybody ended it.
func (d *drill) stand(s Standing) {
	for at := range d.Evidence.Injections {
		i := &d.Evidence.Injections[at]
		if i.ID != s.ID || !i.HealIssued.IsZero() {
			continue
		}
		if s.There.After(i.There) {
			i.There = s.There
		}
		i.Gone = s.Gone
	}
}

func (d *drill) absorb(s Sight) {
	for _, one := range s.Faults {
		d.stand(one)
	}
	for _, series := range s.Probes {
		d.absorbSeries(series)
	}
	for _, a := range s.Alerts {
		d.absorbAlert(a, slices.Contains(s.Real, a.Fingerprint))
	}
	if d.Evidence.Pending.IsZero() {
		d.Evidence.Pending = s.Pending
	}
	for _, r := range s.Runs {
		d.absorbRun(r)
	}
	for _, i := range s.Interventions {
		if !slices.Contains(d.Evidence.Interventions, i) {
			d.Evidence.Interventions = append(d.Evidence.Interventions, i)
		}
	}
	for _, w := range s.Watched {
		d.absorbWatch(w)
	}
	if s.Incarnation != nil {
		d.absorbIncarnation(*s.Incarnation)
	}
	for _, n := range s.Notes {
		if !slices.Contains(d.Evidence.Notes, n) && len(d.Evidence.Notes) < maxNotes {
			d.Evidence.Notes = append(d.Evidence.Notes, n)
		}
	}
	if s.Stop != nil {
		d.abort(s.Stop.By, s.Stop.Why)
	}
}

func (d *drill) absorbSeries(s gameday.Series) {
	at := slices.IndexFunc(d.Evidence.Probes, func(p gameday.Series) bool { return p.ID == s.ID })
	if at < 0 {
		d.Evidence.Probes = append(d.Evidence.Probes, gameday.Series{ID: s.ID})
		at = len(d.Evidence.Probes) - 1
	}
	for _, sample := range s.Samples {
		d.Evidence.Probes[at].Samples = append(d.Evidence.Probes[at].Samples, d.thinned(d.Evidence.Probes[at].Samples, sample))
		d.feel(s.ID, sample)
	}
}

// thinned leaves out what a look gave, once that is more than can be kept of all
// looks, and where it came to the same as the one before.
func (d *drill) thinned(before []gameday.Sample, s gameday.Sample) gameday.Sample {
	if n := len(before); n > 0 && before[n-1].State == s.State && d.said > maxSaid {
		s.Output, s.Error = nil, ""
	}
	d.said += len(s.Output) + len(s.Error)
	return s
}

// What the evidence keeps. Temporal takes no more than 2 MB of it.
const (
	maxSaid         = 400_000 // bytes of what looks gave
	maxIncarnations = 200
	maxNotes        = 100
)

// feel notes since when a probe is not good, and when a fault was first felt.
func (d *drill) feel(probe string, s gameday.Sample) {
	if s.State == gameday.Good {
		delete(d.notGood, probe)
		return
	}
	if _, already := d.notGood[probe]; !already {
		d.notGood[probe] = s.At
	}
	if probe != d.Plan.RecoveryProbe() {
		return
	}
	for i := range d.Evidence.Injections {
		injection := &d.Evidence.Injections[i]
		if injection.EffectSeen.IsZero() && !s.At.Before(injection.Requested) && injection.HealIssued.IsZero() {
			injection.EffectSeen = s.End()
		}
	}
}

func (d *drill) absorbAlert(seen gameday.Alert, real bool) {
	a := d.alert(seen.Fingerprint, seen.Labels, seen.StartsAt, seen.Expected)
	if a.ActiveSeen.IsZero() && !overtaken(a, seen.ActiveSeen) {
		a.ActiveSeen = seen.ActiveSeen
	}
	if a.Resolved.IsZero() {
		a.Resolved = seen.Resolved
	}
	a.Suppressed = a.Suppressed || seen.Suppressed
	d.yield(a, real)
}

func (d *drill) absorbRun(r gameday.Run) {
	at := slices.IndexFunc(d.Evidence.Runs, func(known gameday.Run) bool { return known.ID == r.ID })
	if at < 0 {
		d.Evidence.Runs = append(d.Evidence.Runs, r)
		return
	}
	d.Evidence.Runs[at] = r
}

// together is how far two looks may be apart to count as one.
const together = 5 * time.Second

func (d *drill) absorbWatch(w gameday.Watch) {
	for i := range d.Evidence.Watched {
		known := &d.Evidence.Watched[i]
		if known.What == w.What && w.From.Sub(known.To) <= together {
			known.To = w.To
			return
		}
	}
	// Newest first, so that the last of a kind is the one that goes on.
	d.Evidence.Watched = append([]gameday.Watch{w}, d.Evidence.Watched...)
}

// absorbIncarnation keeps the first, the last, and each that differs, as long as
// there are not too many.
func (d *drill) absorbIncarnation(i gameday.Incarnation) {
	n := len(d.Evidence.Incarnations)
	if n >= maxIncarnations || n >= 2 && slices.Equal(d.Evidence.Incarnations[n-1].IDs, i.IDs) && slices.Equal(d.Evidence.Incarnations[n-2].IDs, i.IDs) {
		d.Evidence.Incarnations[n-1] = i
		return
	}
	d.Evidence.Incarnations = append(d.Evidence.Incarnations, i)
}

// wellFor reports that every steady probe has been good for so long without a
// break, up to its last look.
func (d *drill) wellFor(hold time.Duration) bool {
	for _, p := range d.Plan.Steady {
		if good := d.goodFor(p.ID); good < 0 || good < hold-time.Duration(p.Every) {
			return false
		}
	}
	return true
}

// goodFor is how long a probe has been good, up to its last look; negative when
// it is not.
func (d *drill) goodFor(probe string) time.Duration {
	at := slices.IndexFunc(d.Evidence.Probes, func(p gameday.Series) bool { return p.ID == probe })
	if at < 0 {
		return -1
	}
	samples := d.Evidence.Probes[at].Samples
	good := -time.Second
	for i := len(samples) - 1; i >= 0 && samples[i].State == gameday.Good && d.sameStage(samples[i].At); i-- {
		good = samples[len(samples)-1].End().Sub(samples[i].At)
	}
	return good
}

// sameStage: what was good before the healing says nothing of the time after it.
func (d *drill) sameStage(at time.Time) bool {
	if d.Phase != Settling {
		return true
	}
	for _, i := range d.Evidence.Injections {
		if at.Before(i.Healed) || at.Before(i.HealIssued) {
			return false
		}
	}
	return true
}

func (d *drill) unwell() string {
	var names []string
	for _, p := range d.Plan.Steady {
		if since, not := d.notGood[p.ID]; not {
			names = append(names, fmt.Sprintf("%s is not good since %s", p.ID, since.UTC().Format(time.TimeOnly)))
		}
	}
	if len(names) == 0 {
		return "for long enough"
	}
	return strings.Join(names, ", ")
}

// seenAll reports that everything expected was seen, so that there is nothing
// more to wait for. A control run, and a drill that expects silence alone, waits
// for its whole time.
func (d *drill) seenAll() bool {
	e := d.Plan.Expect
	if d.Plan.Control != "" || (e.Alert == nil && e.Runbook == nil && e.Recovered == nil) {
		return false
	}
	for _, i := range d.Evidence.Injections {
		if i.Injected.IsZero() && i.Error == "" {
			return false
		}
	}
	return len(d.Evidence.Injections) == len(d.Plan.Faults) &&
		(e.Alert == nil || d.alerted()) && (e.Runbook == nil || d.remedied()) && (e.Recovered == nil || d.recovered())
}

func (d *drill) alerted() bool { return !d.webhook().IsZero() }

// remedied: the run of the proven runbook on the expected alert has ended.
func (d *drill) remedied() bool {
	return slices.ContainsFunc(d.Evidence.Runs, func(r gameday.Run) bool {
		return d.Plan.Proves != nil && r.Runbook == d.Plan.Proves.Runbook && !r.Ended.IsZero() && d.isExpected(r.Fingerprint)
	})
}

func (d *drill) isExpected(fingerprint string) bool {
	return slices.ContainsFunc(d.Evidence.Alerts, func(a gameday.Alert) bool { return a.Expected && a.Fingerprint == fingerprint })
}

// recovered: the effect was seen, and then the system was well for long enough.
func (d *drill) recovered() bool {
	for _, i := range d.Evidence.Injections {
		if i.EffectSeen.IsZero() {
			return false
		}
	}
	return d.goodFor(d.Plan.RecoveryProbe()) >= time.Duration(d.Plan.Expect.Recovered.Hold)+time.Second
}

// tooLate reports that something expected can no longer come in time: the fault
// is not kept on for what is known already. A control run waits for its whole
// time.
func (d *drill) tooLate() bool {
	if d.lost() {
		return true
	}
	effect := d.effect()
	if d.Plan.Control == gameday.NoFault || effect.IsZero() {
		return false
	}
	e := d.Plan.Expect
	if d.Plan.Control == gameday.NoRemedy {
		return e.Recovered != nil && d.past(effect, e.Recovered.Within+e.Recovered.Hold)
	}
	if e.Recovered != nil && !d.well() && d.past(effect, e.Recovered.Within) {
		return true
	}
	if e.Alert == nil {
		return false
	}
	came := d.webhook()
	if came.IsZero() {
		return d.past(effect, e.Alert.Within)
	}
	return e.Runbook != nil && e.Runbook.Outcome != "skipped" && !d.acted() && d.past(came, e.Runbook.Within)
}

// lost: a fault is gone, and no runbook that could have ended it has acted. There
// is nothing more to see.
func (d *drill) lost() bool {
	return slices.ContainsFunc(d.Evidence.Injections, func(i gameday.Injection) bool {
		return i.Lost() && !(d.Plan.Faults[d.faultOf(i.Fault)].Yields && d.acted())
	})
}

// grace is for what was in time and is seen a little later.
const grace = 3 * time.Second

func (d *drill) past(from time.Time, within model.Duration) bool {
	return d.now().After(from.Add(time.Duration(within) + grace))
}

// effect is when the first fault was felt.
func (d *drill) effect() (first time.Time) {
	for _, i := range d.Evidence.Injections {
		if !i.EffectSeen.IsZero() && (first.IsZero() || i.EffectSeen.Before(first)) {
			first = i.EffectSeen
		}
	}
	return first
}

func (d *drill) well() bool { return d.goodFor(d.Plan.RecoveryProbe()) >= 0 }

// webhook is when the expected alert came.
func (d *drill) webhook() time.Time {
	for _, a := range d.Evidence.Alerts {
		if a.Expected && !a.Webhook.IsZero() {
			return a.Webhook
		}
	}
	return time.Time{}
}

// acted: the proven runbook has begun to act on the expected alert.
func (d *drill) acted() bool {
	return slices.ContainsFunc(d.Evidence.Runs, func(r gameday.Run) bool {
		return d.Plan.Proves != nil && r.Runbook == d.Plan.Proves.Runbook && !r.FirstAction.IsZero() && d.isExpected(r.Fingerprint)
	})
}
