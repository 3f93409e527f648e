package verdict

import (
	"fmt"
	"strings"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// Judge gives the verdict of a drill. The same plan and evidence always give the
// same one.
func Judge(p gameday.Plan, e gameday.Evidence) Verdict {
	f, broken := gather(&p, &e)
	v := Verdict{Timeline: f.timeline(), Figures: f.figures()}
	if f.recovery.held() {
		v.Because, _ = f.because()
	}
	v.Verdict, v.Reasons = f.decide(broken)
	v.Proof = p.Proves != nil && p.Control == "" && v.Verdict.decides()
	return v
}

// decide goes from what matters most to what matters least: is the system whole,
// was the drill let run to its end, can its evidence be trusted, did it test
// anything, and only then: what did it show.
func (f *facts) decide(broken error) (Name, []Reason) {
	if unhealed := f.unhealed(); len(unhealed) > 0 {
		return HealFailed, unhealed
	}
	if a := f.ev.Abort; a != nil {
		return f.aborted(*a)
	}
	if broken != nil {
		return Inconclusive, []Reason{{Code: "plan", Text: broken.Error()}}
	}
	for _, unsound := range []func() []Reason{f.incomplete, f.preflight, f.clock, f.incident, f.untested} {
		if reasons := unsound(); len(reasons) > 0 {
			return Inconclusive, reasons
		}
	}
	return f.shown().verdict(f.summary())
}

// aborted is the verdict of a drill that was stopped. When a probe stopped it,
// because the system was unwell for too long, something expected may have been
// seen not to happen before.
func (f *facts) aborted(a gameday.Abort) (Name, []Reason) {
	stopped := Reason{Code: "aborted", At: a.At, Text: fmt.Sprintf("stopped by %s: %s", a.By, a.Why)}
	if a.By != gameday.AbortProbe || len(f.untested()) > 0 || len(f.preflight()) > 0 || len(f.clock()) > 0 {
		return Aborted, []Reason{stopped}
	}
	if shown := f.shown(); len(shown.against) > 0 {
		return Failed, append(shown.against, stopped)
	}
	return Aborted, []Reason{stopped}
}

// findings are what the evidence says of the expectations.
type findings struct {
	against []Reason // seen not to be as expected
	unknown []Reason // nobody can tell
	less    []Reason // as expected, and not as well as aimed at
}

func (s findings) verdict(summary string) (Name, []Reason) {
	switch {
	case len(s.against) > 0:
		return Failed, append(s.against, s.unknown...)
	case len(s.unknown) > 0:
		return Inconclusive, s.unknown
	case len(s.less) > 0:
		return Degraded, s.less
	}
	return Passed, []Reason{{Code: "passed", Text: summary}}
}

func reason(code, format string, args ...any) Reason {
	return Reason{Code: code, Text: fmt.Sprintf(format, args...)}
}

func (s *findings) fail(code, format string, args ...any) {
	s.against = append(s.against, reason(code, format, args...))
}

func (s *findings) doubt(code, format string, args ...any) {
	s.unknown = append(s.unknown, reason(code, format, args...))
}

func (s *findings) slow(code, format string, args ...any) {
	s.less = append(s.less, reason(code, format, args...))
}

// shown looks at everything that was expected.
func (f *facts) shown() findings {
	var s findings
	switch f.plan.Control {
	case gameday.NoFault:
		f.quiet(&s)
	case gameday.NoRemedy:
		f.alerted(&s)
		f.unremedied(&s)
	default:
		f.alerted(&s)
		f.remedied(&s)
		f.recovered(&s)
	}
	if f.plan.Control != gameday.NoRemedy { // without it, people are to be called
		f.silence(&s)
	}
	f.steadiness(&s)
	return s
}

// summary is what a drill that passed has shown, in one sentence.
func (f *facts) summary() string {
	switch f.plan.Control {
	case gameday.NoFault:
		return "without a fault nothing fired and nothing acted"
	case gameday.NoRemedy:
		return "without the runbook the system did not recover"
	}
	var parts []string
	if f.run != nil && f.plan.Proves != nil {
		parts = append(parts, fmt.Sprintf("runbook %s ended %s", f.run.Runbook, f.run.Outcome))
	}
	if f.recovery.held() {
		parts = append(parts, fmt.Sprintf("the system was well again after %s", short(f.recovery.first.End().Sub(f.effect))))
	}
	if len(parts) == 0 {
		return "everything that was expected was seen"
	}
	return strings.Join(parts, "; ")
}
