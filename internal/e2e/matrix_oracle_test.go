package e2e

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// oracle asks the disturbed way itself, all the time. It knows nothing of what
// the engine says.
type oracle struct {
	address string
	foreign bool // somebody listens there whatever becomes of the engine

	mu     sync.Mutex
	spells []spell
	end    chan struct{}
	over   chan struct{}
}

// spell is a time in which the way suffered.
type spell struct {
	from time.Time // the first look that found it so was begun
	last time.Time // and the last one
	to   time.Time // the first look that found it well had its answer; zero while it lasts
	sure bool      // longer than anything but a fault lasts
}

// Both are long for a way on the loopback; the first also on a busy machine.
const (
	hangs     = 1500 * time.Millisecond
	slow      = 400 * time.Millisecond
	lookEvery = 30 * time.Millisecond
)

func watchWay(address string, foreign bool) *oracle {
	o := &oracle{address: address, foreign: foreign, end: make(chan struct{}), over: make(chan struct{})}
	go o.run()
	return o
}

func (o *oracle) run() {
	defer close(o.over)
	for {
		select {
		case <-o.end:
			return
		case <-time.After(lookEvery):
		}
		at := time.Now()
		o.saw(at, o.look())
	}
}

// condition is what a look came to.
type condition int

const (
	unclear condition = iota // the connection was cut
	well
	doubtful
	ill
)

// look: where the engine's own proxy was, nobody listens while the engine is dead.
// That is no fault.
func (o *oracle) look() condition {
	began := time.Now()
	err := ask(o.address, hangs)
	switch {
	case errors.Is(err, errHangs), err != nil && o.foreign:
		return ill
	case time.Since(began) > slow:
		return doubtful
	case err == nil, errors.Is(err, syscall.ECONNREFUSED):
		return well
	}
	return unclear
}

func (o *oracle) saw(at time.Time, c condition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.spells)
	during := n > 0 && o.spells[n-1].to.IsZero()
	switch {
	case c >= doubtful && during:
		o.spells[n-1].last = at
		o.spells[n-1].sure = o.spells[n-1].sure || c == ill
	case c >= doubtful:
		o.spells = append(o.spells, spell{from: at, last: at, sure: c == ill})
	case c == well && during:
		o.spells[n-1].to = time.Now()
	}
}

func (o *oracle) seen() []spell {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]spell(nil), o.spells...)
}

// ill reports that the way suffers now.
func (o *oracle) ill() bool {
	all := o.seen()
	return len(all) > 0 && all[len(all)-1].to.IsZero()
}

func (o *oracle) stop() []spell {
	close(o.end)
	<-o.over
	return o.seen()
}

// facts are what was done in a drill and what the oracle saw of it.
type facts struct {
	play    play
	drill   drills.Drill
	spells  []spell
	remedy  []time.Time // the remedy reached the shop
	strikes []time.Time // a process was killed
	ready   time.Time   // from then on an engine was there, and a controller
	aborted bool
	late    []string // what else was found wrong on the way
}

const (
	// healedWithin bounds how long a fault is in the system once all is there that
	// heals it, and that is due: the answer that a killed engine owes is
	// given up after the heartbeat of five seconds, and then it is tried again.
	healedWithin = 15 * time.Second
	// backstopWithin bounds how long it outlives the engine.
	backstopWithin = 5 * time.Second
)

// due is when the end of a spell was due: when the drill wanted to heal, or when
// a process was killed that its fault does not survive. One that survives waits
// for those who heal it.
func (f *facts) due(s spell) (due time.Time) {
	causes := []time.Time{}
	for _, i := range f.drill.Evidence.Injections {
		causes = append(causes, f.healable(i.HealIssued, s), f.healable(i.Deadline, s))
	}
	if !f.play.survives() {
		causes = append(causes, f.strikes...)
	}
	for _, c := range causes {
		if !c.IsZero() && !c.Before(s.from) && (due.IsZero() || c.Before(due)) {
			due = c
		}
	}
	return due
}

// healable is the first time from at on when there was somebody to heal, unless
// the spell was over by the time they were killed.
func (f *facts) healable(at time.Time, s spell) time.Time {
	if at.IsZero() || !f.play.survives() || !at.Before(f.ready) || !s.to.IsZero() && s.to.Before(f.strikes[0]) {
		return at
	}
	return f.ready
}

// took is how long it took to heal what was due.
func (f *facts) took() (longest time.Duration) {
	for _, s := range f.spells {
		if due := f.due(s); !due.IsZero() && !s.to.IsZero() {
			longest = max(longest, s.to.Sub(due))
		}
	}
	return longest
}

// wrong is what must never be.
func (f *facts) wrong() (all []string) {
	all = append(all, f.late...)
	for _, s := range f.spells {
		due := f.due(s)
		switch {
		case s.to.IsZero() && s.sure:
			all = append(all, "the fault is still there")
		case !due.IsZero() && s.to.Sub(due) > healedWithin:
			all = append(all, fmt.Sprintf("the fault was there for %s after its end was due", s.to.Sub(due)))
		}
		for _, i := range f.drill.Evidence.Injections {
			if s.sure && !i.Healed.IsZero() && s.from.After(i.Healed) {
				all = append(all, "the fault came after it was healed")
			}
		}
	}
	return append(all, f.untrue()...)
}

// untrue is why the verdict is none that the facts allow.
func (f *facts) untrue() (all []string) {
	v := f.drill.Verdict
	if v == nil {
		return []string{"there is no verdict"}
	}
	untouched := len(f.strikes) == 0 && !f.aborted
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	switch v.Verdict {
	case verdict.Passed, verdict.Degraded:
		if !f.remedied() {
			say("%s, and the remedy did not come while the fault was on", v.Verdict)
		}
		if f.illAtEnd() {
			say("%s, and the fault was on at the end", v.Verdict)
		}
	case verdict.Failed:
		if !f.tooLate() {
			say("failed, and the runbook is not to blame: no remedy was due that did not come")
		}
	case verdict.HealFailed:
		if !f.illAtEnd() {
			say("heal_failed, and the way was well")
		}
	case verdict.Aborted:
		if !f.aborted {
			say("aborted, and nobody did")
		}
		if f.illAtEnd() {
			say("aborted, and the fault was on at the end")
		}
	case verdict.Inconclusive:
		if f.illAtEnd() {
			say("inconclusive, and the fault was on at the end")
		}
	}
	if due := f.deserved(); untouched && v.Verdict != due {
		say("%s, and nothing was done to it: it should be %s", v.Verdict, due)
	}
	return all
}

// deserved is the verdict on a drill that was left alone.
func (f *facts) deserved() verdict.Name {
	if f.play.flaw != "" {
		return verdict.Failed
	}
	return verdict.Passed
}

// remedied: the remedy came while the fault was on.
func (f *facts) remedied() bool {
	for _, at := range f.remedy {
		for _, s := range f.spells {
			if !at.Before(s.from) && (s.to.IsZero() || !at.After(s.to)) {
				return true
			}
		}
	}
	return false
}

// tooLate: the fault was on for as long as the alert and the runbook may take,
// and the remedy had not come by then.
func (f *facts) tooLate() bool {
	for _, s := range f.spells {
		due := s.from.Add(stageWithin)
		if s.last.After(due) && (len(f.remedy) == 0 || f.remedy[0].After(due)) {
			return true
		}
	}
	return false
}

func (f *facts) illAtEnd() bool {
	for _, s := range f.spells {
		if s.sure && s.last.After(f.drill.EndedAt) && s.from.Before(f.drill.EndedAt) {
			return true
		}
	}
	return false
}
