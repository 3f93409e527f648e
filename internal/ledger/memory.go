package ledger

import (
	"slices"
	"time"
)

const sweepEvery = int64(time.Minute)

// sweep forgets what no longer matters.
func (l *Ledger) sweep() {
	if l.Now-l.Swept < sweepEvery {
		return
	}
	l.Swept = l.Now
	l.Accounts = slices.DeleteFunc(l.Accounts, func(a *account) bool {
		a.prune(l.Now)
		if !a.empty() {
			return false
		}
		delete(l.accounts, a.Key)
		return true
	})
	l.forget()
}

// ended are runs that have ended, or were refused, together: a question that
// arrives late must not let one of them in again.
type ended struct {
	At     int64    `json:"at"`
	Guard  Guard    `json:"guard,omitempty"`
	Reason string   `json:"reason"`
	Runs   []uint64 `json:"runs"`
}

const (
	// Longer than any run waits before it asks again.
	rememberEnded = 30 * time.Minute
	maxEnded      = 20_000
	batchEnded    = time.Minute
	maxBatch      = 1000
)

func (l *Ledger) end(run string, v Answer) {
	id := idOf(run)
	if l.ended[id] != nil {
		return
	}
	if v.Guard != GuardEnded && v.Guard != GuardStorm {
		v.Reason = "it was refused before"
	}
	e := l.lastEnded(v)
	e.Runs = append(e.Runs, id)
	l.ended[id] = e
	l.recent++
	if l.recent > maxEnded {
		l.forgetOldest()
	}
}

// lastEnded is the batch for a reason, if it is recent.
func (l *Ledger) lastEnded(v Answer) *ended {
	for _, e := range slices.Backward(l.Ended) {
		if l.Now-e.At > int64(batchEnded) {
			break
		}
		if e.Guard == v.Guard && e.Reason == v.Reason && len(e.Runs) < maxBatch {
			return e
		}
	}
	e := &ended{At: l.Now, Guard: v.Guard, Reason: v.Reason}
	l.Ended = append(l.Ended, e)
	return e
}

func (l *Ledger) forget() {
	for len(l.Ended) > 0 && l.Ended[0].At < l.Now-int64(rememberEnded) {
		l.forgetOldest()
	}
}

func (l *Ledger) forgetOldest() {
	for _, id := range l.Ended[0].Runs {
		delete(l.ended, id)
	}
	l.recent -= len(l.Ended[0].Runs)
	l.Ended = l.Ended[1:]
}
