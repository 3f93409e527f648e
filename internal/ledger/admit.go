package ledger

import (
	"fmt"
	"slices"
	"time"
)

const sourceAlert = "alert"

func (l *Ledger) admit(a Admit) Answer {
	l.settle()
	if held := l.runs[a.Run]; held != nil && !held.Linger {
		return l.renew(held, 0)
	}
	if e := l.ended[idOf(a.Run)]; e != nil {
		return Answer{State: Refused, Guard: e.Guard, Reason: e.Reason}
	}
	if e := l.waiting[a.Run]; e != nil {
		return l.again(e)
	}
	return l.newcomer(a)
}

func (l *Ledger) newcomer(a Admit) Answer {
	if !l.queueFull() {
		l.count(&a)
	}
	v := l.consider(&a)
	if v.State == Admitted && l.more && !a.overrides(GuardQueue) {
		v = Answer{State: Queued, Guard: GuardQueue, Reason: "others came before it"}
	}
	switch v.State {
	case Admitted:
		return l.grant(&a, false)
	case Refused:
		l.end(a.Run, v)
		return v
	default:
		return l.enqueue(a, v)
	}
}

// again is the answer to a run that waits and asks.
func (l *Ledger) again(e *entry) Answer {
	v := l.consider(&e.Admit)
	if l.skipped(e) {
		v = l.skipAnswer()
	}
	if v.State == Refused {
		l.remove(e)
		l.end(e.Run, v)
		return v
	}
	if v.State == Admitted {
		v = Answer{State: Queued, Guard: GuardQueue, Reason: "others came before it"}
	}
	return l.wait(e, v)
}

func (a *Admit) overrides(g Guard) bool { return slices.Contains(a.Override, string(g)) }

// consider asks the guards in their order. It changes nothing.
func (l *Ledger) consider(a *Admit) Answer {
	if l.Halt != nil {
		return Answer{State: Queued, Guard: GuardHalt, Reason: haltText(l.Halt)}
	}
	for _, g := range []struct {
		name Guard
		ask  func(*Admit) (State, string)
	}{
		{GuardStorm, l.askStorm},
		{GuardConcurrency, l.askConcurrency},
		{GuardResource, l.askResource},
		{GuardCooldown, l.askCooldown},
		{GuardRate, l.askRate},
	} {
		if a.overrides(g.name) {
			continue
		}
		if s, reason := g.ask(a); s != Admitted {
			return Answer{State: s, Guard: g.name, Reason: reason}
		}
	}
	return Answer{State: Admitted}
}

func (l *Ledger) askConcurrency(*Admit) (State, string) {
	if !l.crowded() {
		return Admitted, ""
	}
	return Queued, fmt.Sprintf("%d runs act already, and no more than %d may", l.acting, l.Limits.MaxRuns)
}

func (l *Ledger) crowded() bool { return l.Limits.MaxRuns > 0 && l.acting >= l.Limits.MaxRuns }

func (l *Ledger) askResource(a *Admit) (State, string) {
	holder := l.resources[a.Resource]
	if a.Resource == "" || holder == nil {
		return Admitted, ""
	}
	reason := holder.text()
	if a.OnConflict == "drop" {
		return Refused, reason
	}
	return Queued, reason
}

func (a *Admit) replaces() bool { return a.OnConflict == "replace" }

// preempt asks the holder of a resource to make way for a run that replaces it.
// The newest wins: what waited to replace it as well is refused.
func (l *Ledger) preempt(a *Admit) {
	holder := l.resources[a.Resource]
	if a.Resource == "" || holder == nil || holder.Linger || holder.StopFor != "" {
		return
	}
	holder.StopFor = a.Run
	l.tell(Effect{Run: holder.Run, Workflow: holder.Workflow, Stop: fmt.Sprintf("%s takes its place on %s", a.Run, a.Resource)})
}

func (l *Ledger) displace(a *Admit) {
	for _, e := range slices.Clone(l.Queue.entries(front)) {
		if e.Resource != a.Resource || !e.replaces() || e.Run == a.Run {
			continue
		}
		v := Answer{State: Refused, Guard: GuardResource, Reason: fmt.Sprintf("%s takes its place on %s", a.Run, a.Resource)}
		l.refuse(e, v)
	}
}

// grant gives a run its lease, and books it. Told is for a run that waited, and
// has yet to be heard of.
func (l *Ledger) grant(a *Admit, told bool) Answer {
	l.force(a)
	l.book(a)
	l.Token++
	held := &lease{
		Run: a.Run, Workflow: a.Workflow, Runbook: a.Runbook, Resource: a.Resource, Token: l.Token, Since: l.Now,
		Cooldown: length(a.cooldown()), Unheard: told,
	}
	l.Leases = append(l.Leases, held)
	l.indexLease(held)
	l.extend(held, 0)
	return l.holds(held)
}

// againIn spreads the questions of those who wait: a signal tells them when it
// is their turn, so that asking is only for a signal that was lost.
func againIn(position int) time.Duration {
	return time.Minute + time.Duration(position)*100*time.Millisecond
}
