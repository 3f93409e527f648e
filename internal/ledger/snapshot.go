package ledger

import (
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Brief is what every engine must know at any moment.
type Brief struct {
	Halt    *Halt    `json:"halt,omitempty"`
	Resumed *Resume  `json:"resumed,omitempty" doc:"The latest."`
	Storm   *Breaker `json:"storm,omitempty" doc:"The breaker, while it is open."`
	Full    bool     `json:"full,omitempty" doc:"The queue takes no more."`
}

// Equal reports whether two say the same.
func (b Brief) Equal(o Brief) bool {
	return same(b.Halt, o.Halt) && same(b.Resumed, o.Resumed) && same(b.Storm, o.Storm) && b.Full == o.Full
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Breaker is an open storm breaker.
type Breaker struct {
	Since  time.Time      `json:"since"`
	Runs   int            `json:"runs" doc:"That alerts started within the window."`
	Within model.Duration `json:"within"`
}

// Snapshot is the ledger for people.
type Snapshot struct {
	Brief
	At       time.Time `json:"at"`
	Leases   []Lease   `json:"leases"`
	Acting   int       `json:"acting" doc:"Runs that act."`
	Queued   int       `json:"queued" doc:"Runs that wait."`
	Queue    []Waiting `json:"queue" doc:"The first of them, in the order in which they came of each class."`
	Accounts []Account `json:"accounts" doc:"What was booked, per runbook and resource, and per target."`
	Trust    []Trust   `json:"trust"`
}

// Lease is a run that acts, or may still be.
type Lease struct {
	Run      string    `json:"run"`
	Resource string    `json:"resource,omitempty"`
	Token    int64     `json:"token"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until" doc:"Unless it is confirmed."`
	Linger   bool      `json:"linger,omitempty" doc:"The run has ended; what it began may last."`
}

// Waiting is a queued run.
type Waiting struct {
	Run      string    `json:"run"`
	Alert    string    `json:"alert,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Resource string    `json:"resource,omitempty"`
	Since    time.Time `json:"since"`
	Guard    Guard     `json:"guard"`
	Reason   string    `json:"reason"`
}

// Account is what was booked of one kind.
type Account struct {
	Runbook  string      `json:"runbook,omitempty"`
	Resource string      `json:"resource,omitempty"`
	Target   string      `json:"target,omitempty"`
	Booked   []time.Time `json:"booked,omitempty" doc:"The latest, at most ten."`
	ActedAt  *time.Time  `json:"acted_at,omitempty" doc:"Where the cooldown counts from."`
}

// Snapshots are cut to what people look at, and far below what Temporal carries.
const (
	maxShown  = 500
	maxBooked = 10
)

// Brief is the ledger at a glance.
func (l *Ledger) Brief() Brief {
	b := Brief{Halt: l.Halt, Resumed: l.Resumed, Full: l.Full}
	if l.Storm.Open > 0 {
		b.Storm = &Breaker{Since: timeOf(l.Storm.Open), Runs: l.Storm.Runs, Within: l.Limits.Storm.Within}
	}
	return b
}

// Snapshot shows the ledger as it was when it was last touched.
func (l *Ledger) Snapshot() Snapshot {
	s := Snapshot{
		Brief: l.Brief(), At: timeOf(l.Now), Acting: l.acting, Queued: l.Queue.Len,
		Leases: []Lease{}, Queue: []Waiting{}, Accounts: []Account{}, Trust: []Trust{},
	}
	for _, h := range l.Leases[:min(len(l.Leases), maxShown)] {
		s.Leases = append(s.Leases, Lease{h.Run, h.Resource, h.Token, timeOf(h.Since), timeOf(h.Until), h.Linger})
	}
	for _, a := range l.Accounts[:min(len(l.Accounts), maxShown)] {
		s.Accounts = append(s.Accounts, a.show())
	}
	for _, r := range l.Proofs {
		s.Trust = append(s.Trust, r.trust())
	}
	s.Queue = append(s.Queue, l.waitingRuns()...)
	return s
}

func (l *Ledger) waitingRuns() []Waiting {
	var out []Waiting
	for c := range l.Queue.Classes {
		for _, e := range l.Queue.entries(c) {
			if len(out) == maxShown {
				return out
			}
			v := l.consider(&e.Admit)
			out = append(out, Waiting{e.Run, e.Alert, e.Severity, e.Resource, timeOf(e.Since), v.Guard, v.Reason})
		}
	}
	return out
}

func (a *account) show() Account {
	out := Account{}
	if target, is := strings.CutPrefix(a.Key, "target "); is {
		out.Target = target
	} else if run, is := strings.CutPrefix(a.Key, "run "); is {
		out.Runbook, out.Resource, _ = strings.Cut(run, " ")
	}
	for _, b := range a.Bookings[max(0, len(a.Bookings)-maxBooked):] {
		out.Booked = append(out.Booked, timeOf(b.At))
	}
	if a.Cooled > 0 {
		at := timeOf(a.Cooled)
		out.ActedAt = &at
	}
	return out
}
