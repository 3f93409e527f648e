package ledger

import "time"

// burst bounds what is told at once, and the turns that are given before the
// runs are heard of.
const burst = 100

// Apply carries out operations, in order, each with its answer. The effects are
// for the runs that they name; one that gets lost does no harm.
func (l *Ledger) Apply(now time.Time, limits Limits, ops []Op) ([]Answer, []Effect) {
	l.advance(now, &limits)
	answers := make([]Answer, len(ops))
	for i, op := range ops {
		answers[i] = l.do(op)
	}
	return answers, l.finish()
}

// Tick does what time has brought about.
func (l *Ledger) Tick(now time.Time) []Effect {
	l.advance(now, nil)
	return l.finish()
}

func (l *Ledger) finish() []Effect {
	l.settle()
	l.sweep()
	l.fill()
	out := l.effects
	l.effects = nil
	return out
}

func (l *Ledger) do(op Op) Answer {
	switch {
	case op.Admit != nil:
		return l.admit(*op.Admit)
	case op.Confirm != nil:
		return l.confirm(*op.Confirm)
	case op.Reserve != nil:
		return l.reserve(*op.Reserve)
	case op.Release != nil:
		l.release(*op.Release)
	case op.Halt != nil:
		l.halt(*op.Halt)
	case op.Resume != nil:
		l.resume(*op.Resume)
	case op.Reset != nil:
		l.reset(*op.Reset)
	case op.Prove != nil:
		l.prove(*op.Prove)
	}
	return Answer{State: Admitted}
}

// settle leaves nobody waiting who could have a turn. A newcomer is looked at
// only after it, so that nobody is overtaken.
func (l *Ledger) settle() {
	l.expireHalt()
	l.expireLeases()
	l.expireWaits()
	l.giveTurns()
}

// Next is when Tick has something to do at the latest; zero for never.
func (l *Ledger) Next() time.Time {
	if l.pressing() {
		return timeOf(l.Now)
	}
	next := int64(0)
	earliest := func(at int64) {
		if at > 0 && (next == 0 || at < next) {
			next = at
		}
	}
	for _, held := range l.Leases {
		earliest(held.Free)
	}
	if l.Halt == nil {
		earliest(l.Queue.firstDue())
	} else if !l.Halt.Until.IsZero() {
		earliest(l.Halt.Until.UnixNano())
	}
	if next == 0 {
		return time.Time{}
	}
	return timeOf(max(next, l.Now))
}

// pressing reports work that was left only because there was too much of it.
func (l *Ledger) pressing() bool {
	return l.Halt == nil && (l.Storm.Skip > 0 || l.more && l.unheard < burst)
}

func (l *Ledger) tell(e Effect) { l.effects = append(l.effects, e) }

func (l *Ledger) exhausted() bool { return len(l.effects) >= burst }
