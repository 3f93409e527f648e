package verdict

import (
	"slices"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

const (
	// faultSlack is how far apart looks at a fault may be.
	faultSlack = 5 * time.Second
	// arrivalSlack is how much later than its start an engine may report.
	arrivalSlack = 10 * time.Second
)

// lost finds faults that were gone before the system was well, though neither the
// drill nor the runbook had ended them: what came after that shows nothing.
func (f *facts) lost() (reasons []Reason) {
	for _, i := range f.ev.Injections {
		if f.oneShot(i.Fault) {
			continue
		}
		switch before := f.before(i.There); {
		case i.Gone.IsZero() && f.recovery.held() && i.There.Before(earlier(f.recovery.by(), f.over).Add(-faultSlack)):
			reasons = append(reasons, reason("fault_unknown", "nobody looked whether %s stayed as long as it mattered", i.Fault))
		case i.Lost() && before && !f.endedByRun(i):
			reasons = append(reasons, Reason{Code: "fault_lost", At: i.Gone, Text: i.Fault + " was gone, and nobody had ended it"})
		case f.yields(i.Fault) && before && f.newEngine(i):
			reasons = append(reasons, reason("fault_unknown", "an engine was started while %s was on, and what an engine holds ends with it", i.Fault))
		}
	}
	return reasons
}

// before reports that the system was not yet known to be well at a time.
func (f *facts) before(at time.Time) bool { return !f.recovery.held() || at.Before(f.recovery.by()) }

func (f *facts) yields(id string) bool {
	i := slices.IndexFunc(f.plan.Faults, func(p gameday.PlanFault) bool { return p.ID == id })
	return i >= 0 && f.plan.Faults[i].Yields
}

// endedByRun: the runbook may have ended the fault, for it had begun to act when
// that was seen to be gone, and before the system was well.
func (f *facts) endedByRun(i gameday.Injection) bool {
	by := i.Gone
	if f.recovery.held() {
		by = earlier(by, f.recovery.by())
	}
	return f.yields(i.Fault) && f.run != nil && i.Gone.Sub(i.There) <= faultSlack && f.effectBegan(by)
}

func (f *facts) newEngine(i gameday.Injection) bool {
	return slices.ContainsFunc(f.ev.Engines, func(a gameday.Arrival) bool {
		return a.At.After(i.Injected) && f.before(a.At.Add(-arrivalSlack))
	})
}
