package verdict

import (
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// unhealed is what is not proven of the healing: by reading back from each
// injector, and by the data path, which is every steady probe. What was
// requested may be in the system, whatever the answer was.
func (f *facts) unhealed() (reasons []Reason) {
	var touched bool
	var last time.Time
	for _, i := range f.ev.Injections {
		if i.Requested.IsZero() && i.Injected.IsZero() && i.Tries == 0 {
			continue
		}
		touched = true
		last = later(last, later(i.Healed, i.Injected))
		if why := notReadBack(i); why != "" && !f.oneShot(i.Fault) {
			reasons = append(reasons, Reason{Code: "not_healed", At: i.HealIssued, Text: fmt.Sprintf("%s (%s) on %v: %s", i.Fault, i.ID, i.Targets, why)})
		}
	}
	if touched {
		reasons = append(reasons, f.unrestored(last)...)
	}
	return reasons
}

// notReadBack is why the end of an injection is not proven.
func notReadBack(i gameday.Injection) string {
	switch {
	case i.HealError != "":
		return "its end is not proven: " + i.HealError
	case i.HealIssued.IsZero():
		return "nobody ended it"
	case i.Healed.IsZero() || len(i.Proofs) == 0:
		return "its end was not read back"
	case i.Healed.Before(i.HealIssued):
		return "it was read back before it was ended"
	}
	return ""
}

func (f *facts) unrestored(since time.Time) (reasons []Reason) {
	if len(f.plan.Steady) == 0 {
		return []Reason{reason("not_steady", "no probe tells whether the system is well")}
	}
	for _, p := range f.plan.Steady {
		switch lastState(f.looks(p.ID), since) {
		case gameday.Bad:
			reasons = append(reasons, reason("not_steady", "probe %s is not good after the healing", p.ID))
		case gameday.Missing:
			reasons = append(reasons, reason("not_steady", "probe %s gave no answer after the healing", p.ID))
		}
	}
	return reasons
}
