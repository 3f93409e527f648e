package verdict

import (
	"fmt"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// because is why the system recovered, and how that is known. What would make
// the runbook's part doubtful is asked first.
func (f *facts) because() (gameday.Because, string) {
	if f.recovery.uncertain() > tolerance(f.probe) {
		return gameday.ByUnknown, fmt.Sprintf("nobody looked for %s before it was well", short(f.recovery.uncertain()))
	}
	for _, ask := range []func() (gameday.Because, string){f.byHuman, f.byExpiry, f.byOther, f.byReplacement, f.byRunbook} {
		if because, why := ask(); because != "" {
			return because, why
		}
	}
	if !f.watched(gameday.WatchRuns, f.began, f.recovery.by()) {
		return gameday.ByUnknown, "nobody looked all the time whether a runbook acted"
	}
	return gameday.ByItself, "nothing had been done about it by then"
}

func (f *facts) byHuman() (gameday.Because, string) {
	for _, i := range f.ev.Interventions {
		if !i.At.Before(f.began) && !i.At.After(f.recovery.by()) {
			return gameday.ByHuman, fmt.Sprintf("%s: %s", i.Who, i.What)
		}
	}
	for _, r := range f.ev.Runs {
		if r.Source != "alert" && f.hadPart(r) {
			return gameday.ByHuman, fmt.Sprintf("runbook %s was run by hand", r.Runbook)
		}
	}
	return "", ""
}

func (f *facts) byExpiry() (gameday.Because, string) {
	if f.over.IsZero() || f.over.After(f.recovery.by()) {
		return "", ""
	}
	return gameday.ByExpiry, "it was well only when a fault was over, or due to be"
}

// byOther finds runs besides the proven one that may have had a part.
func (f *facts) byOther() (gameday.Because, string) {
	for i := range f.ev.Runs {
		r := &f.ev.Runs[i]
		if r != f.run && f.hadPart(*r) {
			return gameday.ByUnknown, fmt.Sprintf("runbook %s acted as well", r.Runbook)
		}
	}
	return "", ""
}

// hadPart reports that a run changed something, or may have, before the system
// was well.
func (f *facts) hadPart(r gameday.Run) bool {
	if !f.changed(r) {
		return false
	}
	return slices.ContainsFunc(r.Steps, func(s gameday.RunStep) bool {
		return (s.Effect || s.Unsure) && (s.Started.IsZero() || !s.Started.After(f.recovery.by()))
	}) || r.Outcome == runUnknown
}

// byReplacement asks whether the targets are still the ones that the fault was
// injected into.
func (f *facts) byReplacement() (gameday.Because, string) {
	at, state := f.replaced()
	switch {
	case state == replacementUnknown:
		return gameday.ByUnknown, "it is not known whether the targets are still the same"
	case state == sameTargets:
		return "", ""
	case f.run != nil && f.plan.Expect.Runbook != nil && f.plan.Expect.Runbook.Replaces && f.effectBegan(at):
		return "", "" // which is the remedy
	}
	return gameday.ByReplacement, "the targets of the fault were replaced by others"
}

type replacement int

const (
	replacementUnknown replacement = iota
	sameTargets
	otherTargets
)

// replaced compares the targets before the fault with those at and after the
// recovery, and tells when others were seen first.
func (f *facts) replaced() (at time.Time, state replacement) {
	var original []string
	for _, i := range f.ev.Incarnations {
		ids := slices.Compact(slices.Sorted(slices.Values(i.IDs)))
		switch {
		case i.At.IsZero() || len(ids) == 0:
			continue
		case !i.At.After(f.began):
			original = ids
		case original == nil:
			return at, replacementUnknown
		case !slices.Equal(ids, original):
			return i.At, otherTargets
		case !i.At.Before(f.recovery.first.At):
			return at, sameTargets
		}
	}
	return at, replacementUnknown
}

// effectBegan reports that the run had begun to change things by a time.
func (f *facts) effectBegan(by time.Time) bool {
	return slices.ContainsFunc(f.run.Steps, func(s gameday.RunStep) bool {
		return s.Effect && !s.Started.IsZero() && !s.Started.After(by)
	})
}

// byRunbook asks whether the proven run had begun to change something before the
// system was well, and nothing else can have been the reason. A call has its
// effect before its answer is back: what got well while it lasted counts.
func (f *facts) byRunbook() (gameday.Because, string) {
	if f.run == nil {
		return "", ""
	}
	for _, s := range f.run.Steps {
		switch {
		case !s.Effect || len(s.Targets) == 0:
		case s.Started.IsZero() || s.Acted.IsZero():
			return gameday.ByUnknown, fmt.Sprintf("it is not known when step %s acted", s.ID)
		case !s.Started.After(f.recovery.by()) && !f.watched(gameday.WatchRuns, f.began, f.recovery.by()):
			return gameday.ByUnknown, "nobody looked all the time whether another runbook acted"
		case !s.Started.After(f.recovery.by()):
			return gameday.ByRunbook, fmt.Sprintf("step %s (%s) acted on %v", s.ID, s.Do, s.Targets)
		}
	}
	if slices.ContainsFunc(f.run.Steps, func(s gameday.RunStep) bool { return s.Unsure && !s.Started.After(f.recovery.by()) }) {
		return gameday.ByUnknown, "it is not known whether the runbook had changed something by then"
	}
	return "", ""
}
