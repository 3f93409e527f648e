package verdict

import (
	"slices"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

const (
	runUnknown = "unknown" // the outcome of a run or step of which nobody can tell
	runSkipped = "skipped"
)

// remedied asks whether the proven runbook ran for the alert, in time, and came
// to what was expected.
func (f *facts) remedied(s *findings) {
	want := f.plan.Expect.Runbook
	if want == nil || f.plan.Proves == nil {
		return
	}
	if f.run == nil {
		f.notRun(s, want)
		return
	}
	f.acted(s, want)
	switch outcome := f.run.Outcome; {
	case f.run.Ended.IsZero() || outcome == "":
		s.doubt("run_not_ended", "the run of runbook %s had not ended", f.run.Runbook)
	case outcome == runUnknown:
		s.doubt("run_unknown", "the run of runbook %s could not tell its outcome: %s", f.run.Runbook, f.run.Reason)
	case outcome != want.Outcome:
		s.fail("run_outcome", "runbook %s ended %s, not %s: %s", f.run.Runbook, outcome, want.Outcome, f.run.Reason)
	}
	for _, id := range want.Steps {
		f.stepDone(s, id)
	}
}

// notRun says why there is no run to speak of.
func (f *facts) notRun(s *findings, want *gameday.Remedying) {
	if f.alert == nil || f.alert.Webhook.IsZero() {
		return // of which the alert is the reason
	}
	name := f.plan.Proves.Runbook
	for _, r := range f.ev.Runs {
		if r.Started.Before(f.began) {
			continue
		}
		switch same := r.Runbook == name; {
		case same && r.Source != "alert":
			s.fail("run_by_hand", "runbook %s was run by hand", name)
		case same && r.Mode != "live":
			s.fail("run_not_live", "runbook %s ran as a %s and changed nothing%s", name, r.Mode, f.decision())
		case same && r.Digest != f.plan.Proves.Digest:
			s.doubt("other_version", "version %s of runbook %s ran; the drill is about version %s", r.Digest, name, f.plan.Proves.Digest)
		case same:
			s.doubt("run_unknown", "runbook %s ran, and not for the expected alert", name)
		case r.Fingerprint == f.alert.Fingerprint:
			s.fail("other_runbook", "runbook %s ran for the alert, not %s", r.Runbook, name)
		}
	}
	if len(s.against)+len(s.unknown) > 0 {
		return
	}
	if due := after(f.alert.Webhook, want.Within); f.watched(gameday.WatchRuns, f.began, due) {
		s.fail("run_missing", "runbook %s did not run within %s of the webhook%s", name, want.Within, f.decision())
		return
	}
	s.doubt("run_unwatched", "no run of runbook %s was seen, and nobody looked for it all the time", name)
}

// decision is what the engine said that it did about the alert.
func (f *facts) decision() string {
	if f.alert == nil || f.alert.Decision == "" {
		return ""
	}
	return "; the engine's answer to the alert: " + f.alert.Decision
}

// acted asks whether the run began to act in time.
func (f *facts) acted(s *findings, want *gameday.Remedying) {
	first, webhook := f.run.FirstAction, f.alert.Webhook
	due := after(webhook, want.Within)
	switch {
	case webhook.IsZero(): // of which the alert is the reason
	case first.IsZero() && want.Outcome == runSkipped:
	case first.IsZero() && (!f.run.Ended.IsZero() || f.watched(gameday.WatchRuns, f.began, due)):
		s.fail("no_action", "the run of runbook %s did nothing: %s", f.run.Runbook, f.run.Reason)
	case first.IsZero():
		s.doubt("run_unwatched", "no action of runbook %s was seen, and nobody looked for it all the time", f.run.Runbook)
	case first.After(due):
		s.fail("action_late", "runbook %s acted %s after the webhook, later than %s", f.run.Runbook, short(first.Sub(webhook)), want.Within)
	case want.Aim > 0 && first.Sub(webhook) > time.Duration(want.Aim):
		s.slow("action_slow", "runbook %s acted %s after the webhook; the aim is %s", f.run.Runbook, short(first.Sub(webhook)), want.Aim)
	}
}

func (f *facts) stepDone(s *findings, id string) {
	i := slices.IndexFunc(f.run.Steps, func(step gameday.RunStep) bool { return step.ID == id })
	switch {
	case i < 0 && f.run.Ended.IsZero():
		s.doubt("step_unknown", "it is not known what became of step %s", id)
	case i < 0:
		s.fail("step_not_done", "step %s was not done", id)
	case f.run.Steps[i].Outcome == runUnknown, f.run.Steps[i].Outcome == "":
		s.doubt("step_unknown", "it is not known what became of step %s", id)
	case !slices.Contains([]string{"done", "fixed"}, f.run.Steps[i].Outcome):
		s.fail("step_not_done", "step %s is %s", id, f.run.Steps[i].Outcome)
	case f.run.Steps[i].Acted.IsZero() || len(f.run.Steps[i].Targets) == 0:
		s.doubt("step_unknown", "step %s is said to be %s, and touched nothing that is known", id, f.run.Steps[i].Outcome)
	}
}
