package verdict

import (
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// clock finds times that can not be: one clock never goes back. Such evidence
// says nothing of what came first.
func (f *facts) clock() []Reason {
	c := clock{from: f.ev.Started, to: f.ev.Ended}
	for _, i := range f.ev.Injections {
		c.order("injection "+i.Fault, i.Requested, i.Injected, i.HealIssued, i.Healed)
		c.order("effect of "+i.Fault, i.Requested, i.EffectSeen)
	}
	for _, a := range f.ev.Alerts {
		c.order("alert "+a.Fingerprint, a.ActiveSeen, a.Resolved)
		c.order("alert "+a.Fingerprint, a.Webhook, a.Resolved)
	}
	for _, r := range f.ev.Runs {
		c.run(r)
	}
	for _, s := range f.ev.Probes {
		c.series(s)
	}
	var snapshots []time.Time
	for _, i := range f.ev.Incarnations {
		snapshots = append(snapshots, i.At)
	}
	c.order("the targets", snapshots...)
	for _, i := range f.ev.Interventions {
		c.order("what people did", i.At)
	}
	return sorted(c.reasons)
}

type clock struct {
	from, to time.Time
	reasons  []Reason
}

// order wants the times that are known to be within the drill, and none before
// the one before it.
func (c *clock) order(what string, times ...time.Time) {
	c.sequence(what, times...)
	for _, at := range slices.DeleteFunc(times, time.Time.IsZero) {
		if compare(at, c.from) < 0 || compare(at, c.to) > 0 {
			c.reasons = append(c.reasons, reason("clock", "a time of %s is not within the drill", what))
			return
		}
	}
}

// sequence is order for what may have begun before the drill.
func (c *clock) sequence(what string, times ...time.Time) {
	known := slices.DeleteFunc(slices.Clone(times), time.Time.IsZero)
	if !slices.IsSortedFunc(known, compare) {
		c.reasons = append(c.reasons, reason("clock", "the times of %s are out of order", what))
	}
}

// skew is how far the clocks of two engines, or of an engine and its Temporal,
// may differ.
const skew = 250 * time.Millisecond

func compare(a, b time.Time) int {
	if a.Sub(b).Abs() <= skew {
		return 0
	}
	return a.Compare(b)
}

func (c *clock) run(r gameday.Run) {
	c.sequence("run "+r.ID, r.Started, r.FirstAction, r.Ended)
	for _, s := range r.Steps {
		c.sequence("step "+s.ID+" of run "+r.ID, r.FirstAction, s.Started, s.Acted, s.Ended)
	}
}

func (c *clock) series(s gameday.Series) {
	var times []time.Time
	for _, look := range s.Samples {
		if look.Took < 0 {
			c.reasons = append(c.reasons, reason("clock", "a look of probe %s took less than nothing", s.ID))
			return
		}
		times = append(times, look.At)
	}
	c.order("probe "+s.ID, times...)
}

func sorted(reasons []Reason) []Reason {
	slices.SortFunc(reasons, func(a, b Reason) int { return strings.Compare(a.Text, b.Text) })
	return reasons
}
