package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/prometheus/common/model"
)

// Ledger is the state. It is not safe for concurrent use. Its text is JSON, and
// everything that matters is in it.
type Ledger struct {
	state
	index
	effects []Effect
}

// Times are in nanoseconds since 1970: there are many of them.
type state struct {
	Now      int64      `json:"now"`
	Limits   Limits     `json:"limits"`
	Token    int64      `json:"token"` // the last that was given
	Leases   []*lease   `json:"leases,omitempty"`
	Queue    queue      `json:"queue"`
	Accounts []*account `json:"accounts,omitempty"`
	Swept    int64      `json:"swept,omitempty"`
	Ended    []*ended   `json:"ended,omitempty"`
	Halt     *Halt      `json:"halt,omitempty"`
	HaltedAt int64      `json:"halted_at,omitempty"` // when the ledger heard of it
	Resumed  *Resume    `json:"resumed,omitempty"`
	Storm    storm      `json:"storm"`
	Proofs   []*record  `json:"proofs,omitempty"`
	Full     bool       `json:"full,omitempty"`
}

// index finds things in the state. It can be made again from it.
type index struct {
	runs      map[string]*lease
	resources map[string]*lease
	waiting   map[string]*entry
	accounts  map[string]*account
	ended     map[uint64]*ended
	recent    int   // runs in ended
	acting    int   // leases that do not linger
	unheard   int   // leases whose run has not been heard of since its turn came
	firstFree int64 // no lease is free before it
	dirty     bool
	more      bool // turns were left for later
}

// Effect is what is to be told to a run.
type Effect struct {
	Run string
	// Workflow is that of the run, where Admit named it.
	Workflow string
	// Answer is the run's turn, or the end of its waiting.
	Answer *Answer
	// Stop is why the run is to stop: another takes its place.
	Stop string
}

// New makes an empty ledger. Its tokens are greater than those of one that was
// lost before, as long as fewer than a thousand a second were given.
func New(now time.Time) *Ledger {
	l := &Ledger{state: state{Now: now.UnixNano(), Token: now.UnixMilli()}}
	l.reindex()
	return l
}

func (l *Ledger) reindex() {
	l.index = index{
		runs: map[string]*lease{}, resources: map[string]*lease{}, waiting: map[string]*entry{},
		accounts: map[string]*account{}, ended: map[uint64]*ended{}, dirty: true, more: l.Queue.Len > 0,
	}
	for _, held := range l.Leases {
		l.indexLease(held)
	}
	for c := range l.Queue.Classes {
		for _, g := range l.Queue.Classes[c].Groups {
			for _, e := range g.Entries {
				l.waiting[e.Run] = e
			}
		}
	}
	for _, a := range l.Accounts {
		l.accounts[a.Key] = a
	}
	for _, e := range l.Ended {
		for _, id := range e.Runs {
			l.ended[id] = e
			l.recent++
		}
	}
}

const defaultLease = 30 * time.Second

// lasts is how long a lease holds after it was last confirmed.
func (l *Ledger) lasts() int64 {
	if l.Limits.Lease <= 0 {
		return int64(defaultLease)
	}
	return int64(l.Limits.Lease)
}

// margin is how much longer the ledger waits before it gives a resource to
// another: for an effect that is being cancelled, and for clocks that do not run
// at quite the same rate.
func (l *Ledger) margin() int64 { return l.lasts() / 5 }

func (l *Ledger) advance(now time.Time, limits *Limits) {
	// Time does not go back: what was promised until then is still promised.
	l.Now = max(l.Now, now.UnixNano())
	if limits == nil {
		return
	}
	if l.Limits.MaxRuns != limits.MaxRuns {
		l.dirty = true
	}
	l.Limits = *limits
}

func timeOf(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func (l *Ledger) in(d time.Duration) time.Time { return timeOf(l.Now + int64(d)) }

// clock is a time for people.
func clock(ns int64) string { return timeOf(ns).Format("15:04:05 UTC") }

// idOf stands for the parts where there are many of them.
func idOf(parts ...string) uint64 {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return binary.BigEndian.Uint64(h.Sum(nil))
}

func length(d model.Duration) int64 { return int64(d) }
