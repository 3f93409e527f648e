package verdict

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// facts are what the evidence comes to. A zero time is one that was not seen.
type facts struct {
	plan  *gameday.Plan
	ev    *gameday.Evidence
	sieve gameday.Sieve
	probe gameday.PlanProbe // the one that tells the recovery

	began    time.Time // something may be in the system from here on
	injected time.Time // the last fault is there
	over     time.Time // the first fault that ends was over, or may have been
	effect   time.Time // the first bad look after the beginning
	alert    *gameday.Alert
	run      *gameday.Run // of the proven runbook, for that alert
	recovery recovery
}

// gather finds the facts. The error says why the plan can not be judged by;
// what does not depend on that is there all the same.
func gather(p *gameday.Plan, e *gameday.Evidence) (*facts, error) {
	f := &facts{plan: p, ev: e}
	f.faults()
	var err error
	if f.sieve, err = p.Sieve(); err != nil {
		return f, err
	}
	f.probe, _ = p.Probe(p.RecoveryProbe())
	looks := f.looks(f.probe.ID)
	f.effect = firstBad(looks, f.began)
	f.alert = f.expectedAlert()
	f.run = f.provenRun()
	if !f.effect.IsZero() {
		f.recovery = findRecovery(looks, later(f.effect, f.injected), f.hold(), tolerance(f.probe))
	}
	return f, nil
}

func (f *facts) faults() {
	if f.plan.Control == gameday.NoFault {
		f.began = f.ev.Started
	}
	for _, i := range f.ev.Injections {
		f.began = earlier(f.began, i.Requested)
		f.injected = later(f.injected, i.Injected)
		if !f.oneShot(i.Fault) {
			f.over = earlier(f.over, earlier(i.Deadline, earlier(i.HealIssued, i.Healed)))
		}
	}
}

// oneShot reports that a fault has no end. One that is not in the plan counts as
// one that has.
func (f *facts) oneShot(id string) bool {
	i := slices.IndexFunc(f.plan.Faults, func(p gameday.PlanFault) bool { return p.ID == id })
	return i >= 0 && f.plan.Faults[i].OneShot
}

func (f *facts) looks(probe string) []gameday.Sample {
	for _, s := range f.ev.Probes {
		if s.ID == probe {
			return s.Samples
		}
	}
	return nil
}

func firstBad(looks []gameday.Sample, from time.Time) time.Time {
	for _, s := range looks {
		if s.State == gameday.Bad && !from.IsZero() && !s.At.Before(from) {
			return s.At
		}
	}
	return time.Time{}
}

func (f *facts) hold() time.Duration {
	if r := f.plan.Expect.Recovered; r != nil {
		return time.Duration(r.Hold)
	}
	return time.Second
}

// tolerance is how long nobody may look before a probe counts as not looked at.
func tolerance(p gameday.PlanProbe) time.Duration {
	return 3*time.Duration(p.Every) + 2*time.Second
}

// expectedAlert is the episode that the drill waited for: of several, the first
// that was delivered, else the first that was seen.
func (f *facts) expectedAlert() (found *gameday.Alert) {
	for i := range f.ev.Alerts {
		a := &f.ev.Alerts[i]
		if !a.Expected || !f.sieve.Expected(a.Labels) || a.Webhook.IsZero() && a.ActiveSeen.IsZero() {
			continue
		}
		if found == nil || sooner(a.Webhook, found.Webhook) || a.Webhook.Equal(found.Webhook) && sooner(a.ActiveSeen, found.ActiveSeen) {
			found = a
		}
	}
	return found
}

// provenRun is the run that the drill is about; nil when there was none.
func (f *facts) provenRun() *gameday.Run {
	if f.alert == nil || f.plan.Proves == nil {
		return nil
	}
	for i := range f.ev.Runs {
		if f.isProven(f.ev.Runs[i]) {
			return &f.ev.Runs[i]
		}
	}
	return nil
}

func (f *facts) isProven(r gameday.Run) bool {
	return r.Runbook == f.plan.Proves.Runbook && r.Digest == f.plan.Proves.Digest && r.Digest != "" &&
		r.Source == "alert" && r.Mode == "live" && r.Fingerprint == f.alert.Fingerprint && r.Fingerprint != "" &&
		!r.Started.IsZero() && !r.Started.Before(f.began)
}

// watchSlack is how far apart looks at alerts and runs may be.
const watchSlack = 5 * time.Second

// watched reports that something was looked at from one time to another.
func (f *facts) watched(what string, from, to time.Time) bool {
	var spans []gameday.Watch
	for _, w := range f.ev.Watched {
		if w.What == what && !w.From.IsZero() && !w.To.Before(w.From) {
			spans = append(spans, w)
		}
	}
	slices.SortFunc(spans, func(a, b gameday.Watch) int { return a.From.Compare(b.From) })
	if from.IsZero() || len(spans) == 0 {
		return false
	}
	seen := from
	for _, w := range spans {
		if w.From.Sub(seen) > watchSlack {
			break
		}
		if w.To.After(seen) {
			seen = w.To
		}
	}
	return to.Sub(seen) <= watchSlack
}

// earlier and later take a zero time for one that is not known.
func earlier(a, b time.Time) time.Time {
	if sooner(b, a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sooner reports that a is known, and before b or b is not known.
func sooner(a, b time.Time) bool { return !a.IsZero() && (b.IsZero() || a.Before(b)) }

func after(from time.Time, d model.Duration) time.Time { return from.Add(time.Duration(d)) }

func short(d time.Duration) string { return fmt.Sprint(max(d, 0).Round(100 * time.Millisecond)) }
