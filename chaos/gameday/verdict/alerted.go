package verdict

import (
	"slices"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// alerted asks whether the expected alert reached the engine in time. That it
// did not is only known when somebody looked all the while.
func (f *facts) alerted(s *findings) {
	want := f.plan.Expect.Alert
	if want == nil {
		return
	}
	due := after(f.effect, want.Within)
	looked := f.watched(gameday.WatchAlerts, f.began, due)
	a := f.alert
	switch {
	case a == nil && looked:
		s.fail("alert_missing", "no alert that meets %v was seen within %s", want.Matchers, want.Within)
	case a == nil:
		s.doubt("alert_unknown", "the expected alert was not seen, and nobody looked for it all the time")
	case f.stale(*a):
		s.doubt("alert_stale", "the expected alert fired before the fault")
	case a.Webhook.IsZero() && !a.Suppressed && f.restarted(due):
		s.doubt("alert_unknown", "the alert fired, and an engine that may have heard of it ended before it could say so")
	case a.Webhook.IsZero() && looked:
		s.fail("webhook_missing", "the alert fired, and did not reach the engine within %s%s", want.Within, silenced(*a))
	case a.Webhook.IsZero():
		s.doubt("alert_unknown", "the alert fired, and nobody saw whether it reached the engine")
	case a.Webhook.After(due):
		s.fail("alert_late", "the alert reached the engine after %s, later than %s", short(a.Webhook.Sub(f.effect)), want.Within)
	case want.Aim > 0 && a.Webhook.Sub(f.effect) > time.Duration(want.Aim):
		s.slow("alert_slow", "the alert reached the engine after %s; the aim is %s", short(a.Webhook.Sub(f.effect)), want.Aim)
	}
}

// restarted reports that an engine took another's place before a time: what the
// other had heard, it may not have told.
func (f *facts) restarted(by time.Time) bool {
	return slices.ContainsFunc(f.ev.Engines, func(a gameday.Arrival) bool {
		return a.At.After(f.began) && a.At.Before(by.Add(arrivalSlack))
	})
}

// stale reports that the alert was there before the fault.
func (f *facts) stale(a gameday.Alert) bool {
	seen := earlier(a.ActiveSeen, a.Webhook)
	return !seen.IsZero() && seen.Before(f.began)
}

func silenced(a gameday.Alert) string {
	if a.Suppressed {
		return ": it is silenced or inhibited"
	}
	return ""
}

// silence asks whether an alert fired that must not.
func (f *facts) silence(s *findings) {
	if len(f.plan.Expect.Silent) == 0 {
		return
	}
	for _, a := range f.ev.Alerts {
		seen := earlier(a.ActiveSeen, a.Webhook)
		switch {
		case !f.sieve.Silent(a.Labels) || seen.IsZero():
		case seen.Before(f.began):
			s.doubt("silent_stale", "the alert %s, which must not fire, did so before the fault", a.Labels["alertname"])
		default:
			s.against = append(s.against, Reason{Code: "silent_fired", At: seen, Text: "the alert " + a.Labels["alertname"] + " fired, which must not"})
		}
	}
	if !f.watched(gameday.WatchAlerts, f.began, f.end()) {
		s.doubt("silent_unknown", "nobody looked all the time whether an alert fired that must not")
	}
}

// end is when the drill was no longer a trial of the system: the healing began,
// or all of it ended.
func (f *facts) end() (end time.Time) {
	for _, i := range f.ev.Injections {
		end = later(end, i.HealIssued)
	}
	if end.IsZero() {
		return f.ev.Ended
	}
	return end
}

// steadiness finds probes that were unwell for longer than they may, and did not
// stop the drill.
func (f *facts) steadiness(s *findings) {
	for _, p := range f.plan.Steady {
		if unwell := longestBad(f.looks(p.ID), f.end()); unwell > time.Duration(p.AbortAfter)+tolerance(p) {
			s.slow("steady_breach", "probe %s was bad for %s, longer than %s, and the drill went on", p.ID, short(unwell), p.AbortAfter)
		}
	}
	if f.plan.Control == "" && !f.recovery.relapse.IsZero() && f.recovery.relapse.Before(f.end()) {
		s.less = append(s.less, Reason{Code: "relapsed", At: f.recovery.relapse, Text: "the system became unwell again while the fault was on"})
	}
}

// longestBad is the longest time without an answer that was not bad.
func longestBad(looks []gameday.Sample, until time.Time) (longest time.Duration) {
	var since time.Time
	for _, s := range looks {
		switch {
		case s.At.After(until):
			return longest
		case s.State == gameday.Good:
			since = time.Time{}
		case s.State == gameday.Bad:
			since = earlier(since, s.At)
			longest = max(longest, s.End().Sub(since))
		}
	}
	return longest
}
