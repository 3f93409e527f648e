package halt

import (
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// Record is the last word on each side: who said stop, and who said go on. The
// newer of the two counts.
type Record struct {
	Halt    *ledger.Halt   `json:"halt,omitempty"`
	Resumed *ledger.Resume `json:"resumed,omitempty"`
}

// At is the halt that holds at a time, nil for none.
func (r Record) At(now time.Time) *ledger.Halt {
	if !r.stands() || (!r.Halt.Until.IsZero() && !now.Before(r.Halt.Until)) {
		return nil
	}
	return r.Halt
}

// stands reports a halt that was not ended, though it may have run out.
func (r Record) stands() bool {
	return r.Halt != nil && (r.Resumed == nil || r.Resumed.At.Before(r.Halt.At))
}

// merge takes the newest of each. The order does not matter, nor how often: so
// every engine comes to the same. Nobody shortens the halt of another without
// resuming: of two that stand, the later end counts.
func (r Record) merge(o Record) Record {
	out := Record{Halt: newest(r.Halt, o.Halt), Resumed: r.Resumed}
	if o.Resumed != nil && (r.Resumed == nil || o.Resumed.At.After(r.Resumed.At)) {
		out.Resumed = o.Resumed
	}
	for _, h := range []*ledger.Halt{r.Halt, o.Halt} {
		if h != nil && out.stands() && (Record{Halt: h, Resumed: out.Resumed}).stands() && endsAfter(h, out.Halt) {
			longer := *out.Halt
			longer.Until = h.Until
			longer.At = longer.At.Add(1) // so that it is newer for those who have the shorter one
			out.Halt = &longer
		}
	}
	return out
}

func newest(a, b *ledger.Halt) *ledger.Halt {
	if a == nil || (b != nil && b.At.After(a.At)) {
		return b
	}
	return a
}

func endsAfter(a, b *ledger.Halt) bool {
	return !b.Until.IsZero() && (a.Until.IsZero() || a.Until.After(b.Until))
}

// NotShortened says that a halt holds for longer than was asked for, or nothing:
// the zero time asks for one without an end.
func NotShortened(asked time.Time, holds *ledger.Halt) string {
	switch {
	case holds == nil || asked.IsZero() || !endsAfter(holds, &ledger.Halt{Until: asked}):
		return ""
	case holds.Until.IsZero():
		return "a halt without an end holds already and is not shortened: it lasts until somebody resumes"
	}
	return "a longer halt holds already and is not shortened: it lasts until " + holds.Until.UTC().Format(time.DateTime+" UTC") + ", unless somebody resumes"
}

func (r Record) same(o Record) bool {
	at := func(r Record) (halted, resumed time.Time) {
		if r.Halt != nil {
			halted = r.Halt.At
		}
		if r.Resumed != nil {
			resumed = r.Resumed.At
		}
		return halted, resumed
	}
	h1, r1 := at(r)
	h2, r2 := at(o)
	return h1.Equal(h2) && r1.Equal(r2)
}

// last is the time of the last word.
func (r Record) last() (at time.Time) {
	if r.Halt != nil {
		at = r.Halt.At
	}
	if r.Resumed != nil && r.Resumed.At.After(at) {
		at = r.Resumed.At
	}
	return at
}

// next is a time for a new word: now, but after the last one also where that
// came from an engine whose clock is ahead.
func (r Record) next(now time.Time) time.Time {
	if last := r.last(); !now.After(last) {
		return last.Add(time.Millisecond)
	}
	return now
}

// news is what another side should be told that has the record o; nil for
// nothing. What has run out is not told any more.
func (r Record) news(o Record, now time.Time) *ledger.Op {
	switch {
	case r.Resumed != nil && !r.stands() && (o.Resumed == nil || r.Resumed.At.After(o.Resumed.At)):
		return &ledger.Op{Resume: r.Resumed}
	case r.At(now) != nil && (o.Halt == nil || r.Halt.At.After(o.Halt.At)):
		return &ledger.Op{Halt: r.Halt}
	}
	return nil
}
