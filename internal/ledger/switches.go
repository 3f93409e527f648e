package ledger

import (
	"fmt"
	"slices"
	"time"
)

func (l *Ledger) halt(h Halt) {
	if h.At.IsZero() {
		h.At = timeOf(l.Now)
	}
	if l.Halt != nil && h.At.Before(l.Halt.At) || l.Resumed != nil && !h.At.After(l.Resumed.At) {
		return
	}
	if !h.Until.IsZero() && h.Until.UnixNano() <= l.Now {
		return
	}
	if l.Halt == nil {
		l.HaltedAt = l.Now
	}
	l.Halt = &h
}

func (l *Ledger) resume(r Resume) {
	if r.At.IsZero() {
		r.At = timeOf(l.Now)
		if l.Halt != nil && l.Halt.At.After(r.At) {
			r.At = l.Halt.At
		}
	}
	if l.Resumed == nil || r.At.After(l.Resumed.At) {
		l.Resumed = &r
	}
	if l.Halt != nil && !r.At.Before(l.Halt.At) {
		l.lift()
	}
}

func (l *Ledger) expireHalt() {
	if l.Halt != nil && !l.Halt.Until.IsZero() && l.Halt.Until.UnixNano() <= l.Now {
		l.lift()
	}
}

// lift ends the halt. The time in it does not count as waiting.
func (l *Ledger) lift() {
	for c := range l.Queue.Classes {
		for _, e := range l.Queue.entries(c) {
			if e.Due > 0 {
				e.Due += l.Now - max(e.Since, l.HaltedAt)
			}
		}
	}
	l.Halt, l.HaltedAt = nil, 0
	l.dirty = true
}

func haltText(h *Halt) string {
	text := fmt.Sprintf("%s halted the engine at %s", h.By, h.At.UTC().Format(time.DateTime+" UTC"))
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	if !h.Until.IsZero() {
		text += " (until " + h.Until.UTC().Format(time.DateTime+" UTC") + ")"
	}
	return text
}

// storm is the breaker.
type storm struct {
	Window []int64 `json:"window,omitempty"` // runs that alerts started
	Open   int64   `json:"open,omitempty"`   // since when
	Runs   int     `json:"runs,omitempty"`   // that opened it
	Skip   int64   `json:"skip,omitempty"`   // what came until then is not to run
	SkipBy string  `json:"skip_by,omitempty"`
}

// count takes in one more run that an alert started.
func (l *Ledger) count(a *Admit) {
	limit, s := l.Limits.Storm, &l.Storm
	if a.Source != sourceAlert || limit.Runs <= 0 || s.Open > 0 {
		return
	}
	from := l.Now - length(limit.Within)
	s.Window = append(slices.DeleteFunc(s.Window, func(at int64) bool { return at <= from }), l.Now)
	if len(s.Window) > limit.Runs {
		s.Open, s.Runs, s.Window = l.Now, len(s.Window), nil
	}
}

func (l *Ledger) askStorm(a *Admit) (State, string) {
	if l.Storm.Open == 0 || a.Source != sourceAlert {
		return Admitted, ""
	}
	return Queued, fmt.Sprintf("the storm breaker is open since %s, after %d runs in %s: a person has to reset it",
		clock(l.Storm.Open), l.Storm.Runs, l.Limits.Storm.Within)
}

func (l *Ledger) reset(r Reset) {
	s := &l.Storm
	if s.Open == 0 || !r.Since.IsZero() && r.Since.UnixNano() != s.Open {
		return
	}
	*s = storm{Skip: s.Skip, SkipBy: s.SkipBy}
	if r.Skip {
		s.Skip, s.SkipBy = l.Queue.Seq, r.By
	}
	l.dirty = true
}

// fill says whether the queue is full, with some room before it no longer is:
// what says so outside would change at each run otherwise.
func (l *Ledger) fill() {
	limit := l.Limits.Queue.Max
	switch {
	case limit <= 0 || l.Queue.Len <= limit-max(1, limit/20):
		l.Full = false
	case l.Queue.Len >= limit:
		l.Full = true
	}
}
