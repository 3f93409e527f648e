package verdict

import (
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// recovered asks whether the system became well in time, and by what.
func (f *facts) recovered(s *findings) {
	want := f.plan.Expect.Recovered
	if want == nil {
		return
	}
	due := after(f.effect, want.Within)
	if !f.recovery.held() {
		if looked(f.looks(f.probe.ID), f.effect, due.Add(time.Duration(want.Hold)), tolerance(f.probe)) {
			s.fail("not_recovered", "probe %s was not good again within %s", f.probe.ID, want.Within)
		} else {
			s.doubt("recovery_unknown", "nobody looked long enough and without a gap whether probe %s was good again", f.probe.ID)
		}
		return
	}
	f.attributed(s)
	took := f.recovery.by().Sub(f.effect)
	switch {
	case took > time.Duration(want.Within):
		s.fail("recovered_late", "probe %s was good again after %s, later than %s", f.probe.ID, short(took), want.Within)
	case want.Aim > 0 && took > time.Duration(want.Aim):
		s.slow("recovered_slow", "probe %s was good again after %s; the aim is %s", f.probe.ID, short(took), want.Aim)
	}
}

// attributed compares why the system recovered with why it should have.
func (f *facts) attributed(s *findings) {
	want := f.plan.Because()
	if want == "" {
		return
	}
	switch because, why := f.because(); because {
	case want:
	case gameday.ByUnknown:
		s.doubt("because_unknown", "nobody can tell why the system recovered: %s", why)
	default:
		s.fail("because_other", "the system recovered because of %s, not %s: %s", because, want, why)
	}
}

// unremedied asks of a control run without the runbook whether the system stayed
// as unwell as the fault made it.
func (f *facts) unremedied(s *findings) {
	for _, r := range f.ev.Runs {
		if f.changed(r) {
			s.doubt("control_acted", "runbook %s acted in a control run without it", r.Runbook)
		}
	}
	want := f.plan.Expect.Recovered
	if want == nil {
		s.doubt("recovery_unknown", "the plan does not say how soon the system would recover")
		return
	}
	due := after(f.effect, want.Within)
	end := earlier(f.end(), f.over)
	switch held := f.recovery.held(); {
	case held && f.recovery.by().Before(end) && !f.recovery.by().After(due):
		s.fail("control_recovered", "the system recovered without the runbook after %s", short(f.recovery.by().Sub(f.effect)))
	case end.Before(due) || !looked(f.looks(f.probe.ID), f.effect, due, tolerance(f.probe)):
		s.doubt("recovery_unknown", "the control run was not watched for the %s in which the runbook would have to help", want.Within)
	}
}

// quiet asks of a control run without a fault whether nothing happened, for as
// long as something is expected of the game day itself.
func (f *facts) quiet(s *findings) {
	if f.alert != nil {
		s.fail("control_fired", "the expected alert fired without a fault")
	}
	for _, r := range f.ev.Runs {
		if f.changed(r) {
			s.fail("control_acted", "runbook %s acted without a fault", r.Runbook)
		}
	}
	due := f.began.Add(f.plan.Expect.Longest())
	if !f.watched(gameday.WatchAlerts, f.began, due) || !f.watched(gameday.WatchRuns, f.began, due) {
		s.doubt("control_unknown", "nobody looked for alerts and runs all the time")
	}
	for _, p := range f.plan.Steady {
		if bad := firstBad(f.looks(p.ID), f.began); !bad.IsZero() {
			s.against = append(s.against, Reason{Code: "control_unsteady", At: bad, Text: "probe " + p.ID + " was bad without a fault"})
		}
		if !looked(f.looks(p.ID), f.began, due, tolerance(p)) {
			s.doubt("control_unknown", "probe %s was not looked at all the time", p.ID)
		}
	}
}

// changed reports that a run changed something during the drill, or may have.
func (f *facts) changed(r gameday.Run) bool {
	for _, step := range r.Steps {
		lasted := !step.Ended.Before(f.began) || step.Unsure && r.Ended.IsZero()
		if (step.Effect || step.Unsure) && lasted {
			return true
		}
	}
	return r.Mode == "live" && r.Outcome == runUnknown && !r.Ended.Before(f.began)
}
