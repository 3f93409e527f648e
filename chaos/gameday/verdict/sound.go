package verdict

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// incomplete is what is missing of the evidence as a whole.
func (f *facts) incomplete() (reasons []Reason) {
	e := f.ev
	for what, missing := range map[string]bool{
		"the id of the drill":    e.ID == "",
		"the end of the drill":   e.Ended.IsZero(),
		"the start of the drill": e.Started.IsZero(),
	} {
		if missing {
			reasons = append(reasons, reason("incomplete", "the evidence lacks %s", what))
		}
	}
	if e.Digest == "" && f.plan.Digest == "" {
		return append(sorted(reasons), reason("incomplete", "there is no plan%s", f.unplanned()))
	}
	if e.Digest != f.plan.Digest || e.Digest == "" {
		reasons = append(reasons, reason("incomplete", "the evidence is of version %q of the game day, the plan of %q", e.Digest, f.plan.Digest))
	}
	return sorted(reasons)
}

// unplanned is why there is no plan, where the drill has said so.
func (f *facts) unplanned() (why string) {
	for _, c := range f.ev.Preflight {
		if !c.Passed() {
			why += ": " + c.Text
		}
	}
	return why
}

func (f *facts) preflight() (reasons []Reason) {
	missing := f.plan.Checks()
	for _, c := range f.ev.Preflight {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == c.Name })
		if !c.Passed() {
			reasons = append(reasons, reason("preflight", "%s: %s %s", c.Name, c.State, c.Text))
		}
	}
	if len(missing) > 0 {
		reasons = append(reasons, reason("preflight", "not checked: %s", strings.Join(missing, ", ")))
	}
	return reasons
}

// incident finds alerts in scope that the drill did not give way to.
func (f *facts) incident() (reasons []Reason) {
	for _, a := range f.ev.Alerts {
		seen := earlier(a.ActiveSeen, a.Webhook)
		over := !a.Resolved.IsZero() && a.Resolved.Before(f.began)
		if !seen.IsZero() && !over && f.sieve.Real(a.Labels) {
			reasons = append(reasons, Reason{Code: "incident", At: seen, Text: fmt.Sprintf("the alert %s fired, which this drill did not expect", a.Labels["alertname"])})
		}
	}
	return reasons
}

// untested is why nothing was put to the test: the fault was not there, nobody
// knows what the system was like before it, or it did nothing.
func (f *facts) untested() []Reason {
	if f.plan.Control == gameday.NoFault {
		return f.injectedAnyway()
	}
	for _, check := range []func() []Reason{f.notInjected, f.noBaseline, f.lost, f.noEffect} {
		if reasons := check(); len(reasons) > 0 {
			return reasons
		}
	}
	return nil
}

func (f *facts) injectedAnyway() (reasons []Reason) {
	for _, i := range f.ev.Injections {
		reasons = append(reasons, reason("not_injected", "%s was injected in a control run without faults", i.Fault))
	}
	return reasons
}

func (f *facts) notInjected() (reasons []Reason) {
	if len(f.plan.Faults) == 0 {
		return []Reason{reason("not_injected", "the plan has no fault")}
	}
	there := map[string]bool{}
	for _, i := range f.ev.Injections {
		switch {
		case i.Error != "":
			reasons = append(reasons, reason("not_injected", "%s could not be injected: %s", i.Fault, i.Error))
		case i.Requested.IsZero() || i.Injected.IsZero() || i.Deadline.IsZero() && !f.oneShot(i.Fault) || len(i.Targets) == 0:
			reasons = append(reasons, reason("not_injected", "it is not known when or into what %s was injected", i.Fault))
		}
		there[i.Fault] = true
	}
	for _, p := range f.plan.Faults {
		if !there[p.ID] {
			reasons = append(reasons, reason("not_injected", "%s was not injected", p.ID))
		}
	}
	return reasons
}

func (f *facts) noBaseline() (reasons []Reason) {
	for _, p := range f.plan.Steady {
		if before(f.looks(p.ID), f.began) != gameday.Good {
			reasons = append(reasons, reason("no_baseline", "probe %s was not seen to be good before the fault", p.ID))
		}
	}
	return reasons
}

// before is the last answer of a probe before a time.
func before(looks []gameday.Sample, began time.Time) (state gameday.State) {
	for _, s := range looks {
		if s.At.Before(began) && s.State != gameday.Missing {
			state = s.State
		}
	}
	return state
}

func (f *facts) noEffect() (reasons []Reason) {
	if f.effect.IsZero() {
		return []Reason{reason("no_effect", "probe %s stayed good: the fault did nothing that could be seen", f.probe.ID)}
	}
	for _, i := range f.ev.Injections {
		if i.EffectSeen.IsZero() {
			reasons = append(reasons, reason("no_effect", "no effect of %s was seen", i.Fault))
		}
	}
	return reasons
}
