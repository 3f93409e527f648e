package runbooks

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// Verdicts of a game day that decide about a proof. The others show nothing of
// the runbook.
const (
	verdictPassed   = "passed"
	verdictFailed   = "failed"
	verdictUnhealed = "heal_failed"
)

// Standing is what game days have shown of a runbook as it is now.
type Standing struct {
	// Holds says that it may act by itself.
	Holds bool `json:"holds"`
	// Reason is for people: how old the proof is, or what is wrong with it.
	Reason string `json:"reason"`
	// Passed and Of count the game days of this behaviour.
	Passed int `json:"passed"`
	Of     int `json:"of"`
	// At and Gameday are of the last one that decided.
	At      time.Time `json:"at,omitzero"`
	Gameday string    `json:"gameday,omitempty"`
	// Recovery is the 95th percentile over those that passed.
	Recovery model.Duration `json:"recovery,omitempty"`
}

// level is the most that a runbook may do by itself that needs a proof.
func (s Standing) level() Level {
	if s.Holds {
		return Auto
	}
	return Approve
}

// Stands judges the proofs of a runbook, of which there may also be some of
// others and of its earlier versions. Without a maximum age none is too old.
func Stands(proofs []ledger.Proof, runbook, digest string, maxAge model.Duration, now time.Time) Standing {
	var s Standing
	own, changed := ofBehaviour(proofs, runbook, digest)
	s.count(own)
	last := len(own) - 1
	if last < 0 {
		s.Reason = "no game day has proven it"
		if changed != nil {
			s.Reason = fmt.Sprintf("changed since its last game day, %s on %s", changed.Gameday, day(changed.At))
		}
		return s
	}
	s.At, s.Gameday = own[last].At, own[last].Gameday
	age := max(now.Sub(s.At), 0)
	switch {
	case own[last].Verdict != verdictPassed:
		s.Reason = fmt.Sprintf("its last game day failed: %s on %s", s.Gameday, day(s.At))
	case maxAge > 0 && age > time.Duration(maxAge):
		s.Reason = fmt.Sprintf("its proof is %s old, and counts for %s: %s on %s", daysOf(age), maxAge, s.Gameday, day(s.At))
	default:
		s.Holds = true
		s.Reason = fmt.Sprintf("proof %s old, %d of %d", daysOf(age), s.Passed, s.Of)
	}
	return s
}

// ofBehaviour picks what decides about a behaviour, oldest first, and the last
// that was about another behaviour of the same runbook.
func ofBehaviour(proofs []ledger.Proof, runbook, digest string) (own []ledger.Proof, other *ledger.Proof) {
	for _, p := range proofs {
		if p.Runbook != runbook || !slices.Contains([]string{verdictPassed, verdictFailed, verdictUnhealed}, p.Verdict) {
			continue
		}
		switch {
		case p.Digest == digest:
			own = append(own, p)
		case other == nil || p.At.After(other.At):
			other = &p
		}
	}
	slices.SortStableFunc(own, func(a, b ledger.Proof) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		// Of two at the same moment the failed one decides.
		return rank(a.Verdict) - rank(b.Verdict)
	})
	return own, other
}

func rank(verdict string) int {
	if verdict == verdictPassed {
		return 0
	}
	return 1
}

func (s *Standing) count(own []ledger.Proof) {
	var took []model.Duration
	for _, p := range own {
		s.Of++
		if p.Verdict == verdictPassed {
			s.Passed++
			if p.Recovery > 0 {
				took = append(took, p.Recovery)
			}
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		s.Recovery = took[(95*len(took)+99)/100-1] // the nearest rank
	}
}

func day(at time.Time) string { return at.UTC().Format(time.DateOnly) }

func daysOf(age time.Duration) string {
	days := int(age / (24 * time.Hour))
	if days == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", days)
}
