package verdict

import (
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// recovery is how the system became well again, as one probe saw it.
type recovery struct {
	lastBad gameday.Sample // the last bad look before
	first   gameday.Sample // the first good one of those that lasted
	proven  time.Time      // from then on it had lasted long enough; zero when it did not
	relapse time.Time      // the first bad look after that
}

func (r recovery) held() bool { return !r.proven.IsZero() }

// by is the latest moment at which the system may have become well.
func (r recovery) by() time.Time { return r.first.End() }

// findRecovery finds the first time after a moment at which the looks became
// good and stayed so. A look without an answer, or a time without looks, is
// nothing to build on: what comes after it begins anew.
func findRecovery(looks []gameday.Sample, from time.Time, hold, tolerance time.Duration) (r recovery) {
	var first, last *gameday.Sample
	for i := range looks {
		s := &looks[i]
		switch {
		case s.State == gameday.Bad && r.held():
			r.relapse = earlier(r.relapse, s.At)
		case s.State == gameday.Bad:
			r.lastBad, first, last = *s, nil, nil
		case s.State != gameday.Good || s.At.Before(from) || r.held():
		case first == nil || s.At.Sub(last.End()) > tolerance:
			first, last = s, s
		default:
			last = s
			if s.End().Sub(first.At) >= hold {
				r.first, r.proven = *first, s.End()
			}
		}
	}
	return r
}

// uncertain is how long nobody knew, from the last bad answer to the first good
// one: the system became well at some moment in between.
func (r recovery) uncertain() time.Duration { return r.first.End().Sub(r.lastBad.End()) }

// looked reports that a probe gave answers without a gap from one time to
// another.
func looked(looks []gameday.Sample, from, to time.Time, tolerance time.Duration) bool {
	seen := from
	for _, s := range looks {
		if s.State != gameday.Good && s.State != gameday.Bad || s.End().Before(from) {
			continue
		}
		if s.At.Sub(seen) > tolerance {
			break
		}
		seen = later(seen, s.End())
	}
	return !from.IsZero() && to.Sub(seen) <= tolerance
}

// lastState is what a probe said in the end: missing when the last look had no
// answer, or there is none after a time.
func lastState(looks []gameday.Sample, since time.Time) gameday.State {
	if len(looks) == 0 {
		return gameday.Missing
	}
	last := looks[len(looks)-1]
	if last.At.Before(since) || last.State != gameday.Good && last.State != gameday.Bad {
		return gameday.Missing
	}
	return last.State
}
