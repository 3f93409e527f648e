package ledger

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// record is what was proved of one behaviour of a runbook.
type record struct {
	Runbook string  `json:"runbook"`
	Digest  string  `json:"digest"`
	Recent  []Proof `json:"recent"` // oldest first
	Passed  *Proof  `json:"passed,omitempty"`
	Failed  *Proof  `json:"failed,omitempty"`
}

const (
	keepProofs  = 5
	keepDigests = 3 // of a runbook
)

// Passed is the verdict of a game day that proves something.
const Passed = "passed"

// A verdict of the others is no evidence: nothing was learnt that speaks for the
// runbook acting by itself, or against it.
var (
	evidence = []string{Passed, "failed", "heal_failed"}
	failures = []string{"failed", "heal_failed"}
)

func (l *Ledger) prove(p Proof) {
	if !slices.Contains(evidence, p.Verdict) {
		return
	}
	r := l.record(p.Runbook, p.Digest)
	if slices.ContainsFunc(r.Recent, func(x Proof) bool { return x.Gameday == p.Gameday && x.At.Equal(p.At) }) {
		return
	}
	r.add(p)
}

func (r *record) add(p Proof) {
	latest := p
	switch {
	case p.Verdict == Passed && (r.Passed == nil || p.At.After(r.Passed.At)):
		r.Passed = &latest
	case slices.Contains(failures, p.Verdict) && (r.Failed == nil || p.At.After(r.Failed.At)):
		r.Failed = &latest
	}
	// The runbook and its digest stand above.
	p.Runbook, p.Digest = "", ""
	r.Recent = append(r.Recent, p)
	slices.SortStableFunc(r.Recent, func(a, b Proof) int { return a.At.Compare(b.At) })
	if len(r.Recent) > keepProofs {
		r.Recent = r.Recent[len(r.Recent)-keepProofs:]
	}
}

// record makes room for a new behaviour by forgetting the oldest of the runbook.
func (l *Ledger) record(runbook, digest string) *record {
	var own []*record
	for _, r := range l.Proofs {
		if r.Runbook == runbook && r.Digest == digest {
			return r
		}
		if r.Runbook == runbook {
			own = append(own, r)
		}
	}
	if len(own) >= keepDigests {
		l.Proofs = slices.DeleteFunc(l.Proofs, func(r *record) bool { return r == own[0] })
	}
	r := &record{Runbook: runbook, Digest: digest}
	l.Proofs = append(l.Proofs, r)
	return r
}

// Trust is what the last game days showed of one behaviour of a runbook.
type Trust struct {
	Runbook string         `json:"runbook"`
	Digest  string         `json:"digest"`
	Passed  *Proof         `json:"passed,omitempty" doc:"The latest that passed."`
	Failed  *Proof         `json:"failed,omitempty" doc:"The latest that failed."`
	Good    int            `json:"good" doc:"How many of the last passed."`
	Of      int            `json:"of" doc:"How many of the last are counted."`
	P95     model.Duration `json:"recovery_p95,omitempty" doc:"Of the recovery in those that passed."`
	Recent  []Proof        `json:"recent" doc:"The last, oldest first."`
}

// Proofs are the game days that the ledger still knows, for runbooks.Stands.
func (s Snapshot) Proofs() []Proof {
	all := []Proof{}
	for _, t := range s.Trust {
		all = append(all, t.Recent...)
	}
	return all
}

// Demoted reports that the latest evidence is a failure.
func (t *Trust) Demoted() bool {
	return t.Failed != nil && (t.Passed == nil || !t.Passed.At.After(t.Failed.At))
}

// Valid reports whether a proof is there, is not older than a duration, and has
// not been refuted since. Zero means any age.
func (t *Trust) Valid(now time.Time, maxAge time.Duration) bool {
	return t.Passed != nil && !t.Demoted() && (maxAge <= 0 || now.Sub(t.Passed.At) <= maxAge)
}

func (r *record) trust() Trust {
	t := Trust{Runbook: r.Runbook, Digest: r.Digest, Passed: r.Passed, Failed: r.Failed, Of: len(r.Recent)}
	var took []model.Duration
	for _, p := range r.Recent {
		whole := p
		whole.Runbook, whole.Digest = r.Runbook, r.Digest
		t.Recent = append(t.Recent, whole)
		if p.Verdict == Passed {
			t.Good++
			took = append(took, p.Recovery)
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		// The nearest rank: of a handful, the longest.
		t.P95 = took[(len(took)*95+99)/100-1]
	}
	return t
}
