package ledger

import (
	"fmt"
	"slices"
	"time"
)

// queue is where runs wait: by class, in each class by alert name, in turn, and
// of one name in the order in which they came.
type queue struct {
	Seq     int64             `json:"seq"` // of the last that came
	Len     int               `json:"len"`
	Classes [classes]waitings `json:"classes"`
}

type waitings struct {
	Groups []*group `json:"groups,omitempty"` // whose turn is next comes first
}

type group struct {
	Alert   string   `json:"alert"`
	Entries []*entry `json:"entries"`
	cursor  int
}

type entry struct {
	Admit
	Seq, Since, Due int64
	class           int
}

const (
	front   = iota // what replaces another, and what a person let through
	page           // page and critical
	high           // error and high
	warning        // warning
	others
	classes
)

func (a *Admit) class() int {
	if a.replaces() || len(a.Override) > 0 {
		return front
	}
	switch a.Severity {
	case "page", "critical":
		return page
	case "error", "high":
		return high
	case "warning":
		return warning
	default:
		return others
	}
}

func (q *queue) add(e *entry) {
	q.Seq++
	q.Len++
	e.Seq = q.Seq
	c := &q.Classes[e.class]
	for _, g := range c.Groups {
		if g.Alert == e.Alert {
			g.Entries = append(g.Entries, e)
			return
		}
	}
	c.Groups = append(c.Groups, &group{Alert: e.Alert, Entries: []*entry{e}})
}

func (q *queue) remove(e *entry) {
	c := &q.Classes[e.class]
	for gi, g := range c.Groups {
		if g.Alert != e.Alert {
			continue
		}
		i := slices.Index(g.Entries, e)
		if i < 0 {
			return
		}
		g.Entries = slices.Delete(g.Entries, i, i+1)
		q.Len--
		if len(g.Entries) == 0 {
			c.Groups = slices.Delete(c.Groups, gi, gi+1)
		}
		return
	}
}

// entries of a class, name by name.
func (q *queue) entries(class int) []*entry {
	var out []*entry
	for _, g := range q.Classes[class].Groups {
		out = append(out, g.Entries...)
	}
	return out
}

// position counts who comes before an entry, if nothing changes.
func (q *queue) position(e *entry) int {
	n := 1
	for c := range e.class {
		for _, g := range q.Classes[c].Groups {
			n += len(g.Entries)
		}
	}
	groups := q.Classes[e.class].Groups
	own := slices.IndexFunc(groups, func(g *group) bool { return g.Alert == e.Alert })
	i, _ := slices.BinarySearchFunc(groups[own].Entries, e.Seq, func(x *entry, seq int64) int { return int(x.Seq - seq) })
	for gi, g := range groups {
		rounds := i
		if gi < own {
			rounds++
		}
		if gi != own {
			n += min(len(g.Entries), rounds)
		}
	}
	return n + i
}

// firstDue is when the first has waited too long; zero for never.
func (q *queue) firstDue() int64 {
	due := int64(0)
	for c := range q.Classes {
		for _, g := range q.Classes[c].Groups {
			if d := g.Entries[0].Due; d > 0 && (due == 0 || d < due) {
				due = d
			}
		}
	}
	return due
}

const fullAgain = 30 * time.Second

func (l *Ledger) queueFull() bool { return l.Limits.Queue.Max > 0 && l.Queue.Len >= l.Limits.Queue.Max }

func (l *Ledger) enqueue(a Admit, v Answer) Answer {
	if l.queueFull() && !a.overrides(GuardQueue) {
		return Answer{
			State: Queued, Guard: GuardQueue, Again: l.in(fullAgain),
			Reason: fmt.Sprintf("the queue is full: %d runs wait (and it would have to: %s)", l.Queue.Len, v.Reason),
		}
	}
	e := &entry{Admit: a, Since: l.Now, class: a.class()}
	if l.Limits.Queue.MaxWait > 0 {
		e.Due = l.Now + length(l.Limits.Queue.MaxWait)
	}
	l.Queue.add(e)
	l.waiting[a.Run] = e
	if v.Guard == GuardResource && a.replaces() {
		l.displace(&a)
		l.preempt(&a)
	}
	return l.wait(e, v)
}

func (l *Ledger) wait(e *entry, v Answer) Answer {
	v.Position = l.Queue.position(e)
	v.Again = l.in(againIn(v.Position))
	return v
}

func (l *Ledger) remove(e *entry) {
	l.Queue.remove(e)
	delete(l.waiting, e.Run)
}

func (l *Ledger) refuse(e *entry, v Answer) {
	l.remove(e)
	l.end(e.Run, v)
	l.tell(Effect{Run: e.Run, Workflow: e.Workflow, Answer: &v})
}

// expireWaits refuses who has waited too long, and the backlog that a person
// said to skip. A halt stops the clock.
func (l *Ledger) expireWaits() {
	if l.Halt != nil {
		return
	}
	l.skipBacklog()
	for c := range l.Queue.Classes {
		for _, g := range slices.Clone(l.Queue.Classes[c].Groups) {
			l.expireGroup(g)
		}
	}
}

func (l *Ledger) expireGroup(g *group) {
	for len(g.Entries) > 0 && !l.exhausted() {
		e := g.Entries[0]
		if e.Due == 0 || e.Due > l.Now {
			return
		}
		l.refuse(e, l.tooLong(e))
	}
}

// tooLong is the answer to who has waited too long. In a storm people know of it
// already, from the breaker.
func (l *Ledger) tooLong(e *entry) Answer {
	reason := fmt.Sprintf("its turn did not come: it waited for %s", time.Duration(l.Now-e.Since).Round(time.Second))
	if storm, why := l.askStorm(&e.Admit); storm != Admitted && !e.overrides(GuardStorm) {
		return Answer{State: Refused, Guard: GuardStorm, Reason: reason + "; " + why}
	}
	return Answer{State: Refused, Guard: GuardQueue, Reason: reason}
}

func (l *Ledger) skipped(e *entry) bool {
	return e.Seq <= l.Storm.Skip && e.Source == sourceAlert && !e.overrides(GuardStorm)
}

func (l *Ledger) skipAnswer() Answer {
	return Answer{State: Refused, Guard: GuardStorm, Reason: l.Storm.SkipBy + " reset the storm breaker and had the backlog skipped"}
}

func (l *Ledger) skipBacklog() {
	if l.Storm.Skip == 0 {
		return
	}
	for c := range l.Queue.Classes {
		for _, e := range l.Queue.entries(c) {
			if !l.skipped(e) {
				continue
			}
			if l.exhausted() {
				return
			}
			l.refuse(e, l.skipAnswer())
		}
	}
	l.Storm.Skip = 0
}

// giveTurns lets run who may.
func (l *Ledger) giveTurns() {
	if !l.dirty || l.Halt != nil {
		return
	}
	l.dirty, l.more = false, false
	for c := range l.Queue.Classes {
		if c != front && l.crowded() {
			return
		}
		if !l.serve(c) {
			l.more, l.dirty = true, true
			return
		}
	}
}

// serve goes through a class. A name that had its turn goes to the end of the
// line; one whose runs all have to wait keeps its place.
func (l *Ledger) serve(class int) (complete bool) {
	c := &l.Queue.Classes[class]
	for _, g := range c.Groups {
		g.cursor = 0
	}
	for i := 0; i < len(c.Groups); {
		if class != front && l.crowded() {
			return true
		}
		g := c.Groups[i]
		granted, complete := l.serveGroup(g)
		switch {
		case !complete:
			return false
		case len(g.Entries) == 0:
			// It is gone from the line.
		case granted:
			c.Groups = append(slices.Delete(c.Groups, i, i+1), g)
		default:
			i++
		}
	}
	return true
}

// serveGroup gives one turn, to the first who can take it.
func (l *Ledger) serveGroup(g *group) (granted, complete bool) {
	for g.cursor < len(g.Entries) {
		if l.exhausted() || l.unheard >= burst {
			return false, false
		}
		e := g.Entries[g.cursor]
		switch v := l.consider(&e.Admit); v.State {
		case Admitted:
			l.remove(e)
			answer := l.grant(&e.Admit, true)
			l.tell(Effect{Run: e.Run, Workflow: e.Workflow, Answer: &answer})
			return true, true
		case Refused:
			l.refuse(e, v)
		default:
			if v.Guard == GuardResource && e.replaces() {
				l.preempt(&e.Admit)
			}
			g.cursor++
		}
	}
	return false, true
}
