package admission

import (
	"sync"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// maxFresh is how long an admission proves the lease at most: the effect that
// follows it comes at once.
const maxFresh = time.Second

// freshProofs are the admissions of a moment ago. Each proves a lease once, as a
// confirmation would that was asked for at the same time.
type freshProofs struct {
	mu    sync.Mutex
	byRun map[string]*proof
}

type proof struct {
	token int64
	asked instant
	lease time.Duration
}

func (p *proof) fresh(now instant) bool { return now.since(p.asked) < min(maxFresh, p.lease/5) }

// note keeps what an admission says of a lease, and forgets one that the run has
// given back.
func (f *freshProofs) note(op ledger.Op, answer ledger.Answer, asked instant) {
	switch {
	case op.Release != nil:
		f.take(op.Release.Run, 0, asked)
	case op.Admit != nil && answer.State == ledger.Admitted:
		f.keep(op.Admit.Run, &proof{token: answer.Token, asked: asked, lease: time.Duration(answer.Lease)})
	}
}

func (f *freshProofs) keep(run string, p *proof) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byRun == nil {
		f.byRun = map[string]*proof{}
	}
	f.byRun[run] = p
	time.AfterFunc(maxFresh, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.byRun[run] == p {
			delete(f.byRun, run)
		}
	})
}

// take gives the proof of a lease, unless there is none that is fresh.
func (f *freshProofs) take(run string, token int64, now instant) *proof {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.byRun[run]
	delete(f.byRun, run)
	if p == nil || p.token != token || !p.fresh(now) {
		return nil
	}
	return p
}
