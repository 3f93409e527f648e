package ledger

import (
	"fmt"
	"slices"

	"github.com/prometheus/common/model"
)

// account is what was done of one kind: the runs of a runbook on a resource, the
// attempts on a target, or all runs.
type account struct {
	Key      string    `json:"k"`
	Bookings []booking `json:"b,omitempty"` // oldest first
	Keep     int64     `json:"w,omitempty"` // how long a booking matters
	// The last run that acted ended then; the newest one under way began then.
	Cooled   int64  `json:"c,omitempty"`
	CooledBy uint64 `json:"cb,omitempty"`
	Live     int64  `json:"l,omitempty"`
	LiveBy   uint64 `json:"lb,omitempty"`
	CoolFor  int64  `json:"cf,omitempty"`
}

type booking struct {
	At int64  `json:"a"`
	ID uint64 `json:"i"`
}

const everything = "*"

func runKey(runbook, resource string) string { return "run " + runbook + " " + resource }
func targetKey(target string) string         { return "target " + target }

func (l *Ledger) account(key string) *account {
	a := l.accounts[key]
	if a == nil {
		a = &account{Key: key}
		l.accounts[key] = a
		l.Accounts = append(l.Accounts, a)
	}
	return a
}

// askCooldown never holds a run up because of itself.
func (l *Ledger) askCooldown(a *Admit) (State, string) {
	acct, cooldown := l.accounts[runKey(a.Runbook, a.Resource)], a.cooldown()
	if acct == nil || cooldown <= 0 {
		return Admitted, ""
	}
	id, since := idOf(a.Run), int64(0)
	if acct.Cooled > 0 && acct.CooledBy != id {
		since = acct.Cooled
	}
	if acct.Live > since && acct.LiveBy != id {
		since = acct.Live
	}
	if until := since + length(cooldown); since > 0 && l.Now < until {
		return Refused, fmt.Sprintf("%s acted%s at %s, and waits %s before it acts again: until %s, by the guards of %s",
			a.Runbook, on(a.Resource), clock(since), cooldown, clock(until), a.cools())
	}
	return Admitted, ""
}

func (a *Admit) cooldown() model.Duration { return max(a.Cooldown, a.EngineCooldown) }

// cools says whose cooldown it is that holds.
func (a *Admit) cools() string {
	if a.EngineCooldown > a.Cooldown {
		return ofEngine
	}
	return ofRunbook
}

// Whose guard it was, for people.
const (
	ofRunbook = "the runbook"
	ofEngine  = "the engine"
)

func on(resource string) string {
	if resource == "" {
		return ""
	}
	return " on " + resource
}

func (l *Ledger) askRate(a *Admit) (State, string) {
	id := idOf(a.Run)
	if acct := l.accounts[runKey(a.Runbook, a.Resource)]; acct != nil {
		if reason := l.over(acct, a.Rate, id); reason != "" {
			return Refused, a.Runbook + on(a.Resource) + " " + reason
		}
	}
	if acct := l.accounts[everything]; acct != nil {
		if reason := l.over(acct, l.Limits.Rate, id); reason != "" {
			return Refused, "all runbooks together: " + reason
		}
	}
	return Admitted, ""
}

// over says which rate one more would exceed. What is booked already is not
// booked again.
func (l *Ledger) over(a *account, rates []Rate, id uint64) string {
	if a.has(id) {
		return ""
	}
	for _, r := range rates {
		from := l.Now - length(r.Per)
		first := slices.IndexFunc(a.Bookings, func(b booking) bool { return b.At > from })
		if first < 0 || len(a.Bookings)-first < r.N {
			continue
		}
		next := a.Bookings[len(a.Bookings)-r.N].At + length(r.Per)
		return fmt.Sprintf("may act %s, and has; the next time at %s", r, clock(next))
	}
	return ""
}

func (a *account) has(id uint64) bool {
	return slices.ContainsFunc(a.Bookings, func(b booking) bool { return b.ID == id })
}

func (l *Ledger) bookOn(a *account, rates []Rate, id uint64) {
	for _, r := range rates {
		a.Keep = max(a.Keep, length(r.Per))
	}
	a.prune(l.Now)
	if !a.has(id) {
		a.Bookings = append(a.Bookings, booking{l.Now, id})
	}
}

func (a *account) prune(now int64) {
	a.Bookings = slices.DeleteFunc(a.Bookings, func(b booking) bool { return b.At <= now-a.Keep })
	if a.Cooled > 0 && a.Cooled+a.CoolFor <= now {
		a.Cooled, a.CooledBy = 0, 0
	}
}

func (a *account) empty() bool { return len(a.Bookings) == 0 && a.Cooled == 0 && a.Live == 0 }

// book is for a run whose turn has come.
func (l *Ledger) book(a *Admit) {
	id := idOf(a.Run)
	if len(a.Rate) > 0 || a.cooldown() > 0 {
		acct := l.account(runKey(a.Runbook, a.Resource))
		if len(a.Rate) > 0 {
			l.bookOn(acct, a.Rate, id)
		}
		if cooldown := length(a.cooldown()); cooldown > 0 {
			acct.Live, acct.LiveBy, acct.CoolFor = l.Now, id, max(acct.CoolFor, cooldown)
		}
	}
	if len(l.Limits.Rate) > 0 {
		l.bookOn(l.account(everything), l.Limits.Rate, id)
	}
}

// conclude is for a run that has ended: its cooldown begins, or all is as if it
// had never been.
func (l *Ledger) conclude(h *lease, acted bool) {
	id := idOf(h.Run)
	if acct := l.accounts[runKey(h.Runbook, h.Resource)]; acct != nil {
		acct.conclude(l.Now, id, h.Cooldown, acted)
	}
	if acct := l.accounts[everything]; acct != nil && !acted {
		acct.refund(id)
	}
}

func (a *account) conclude(now int64, id uint64, cooldown int64, acted bool) {
	if a.LiveBy == id {
		a.Live, a.LiveBy = 0, 0
	}
	switch {
	case !acted:
		a.refund(id)
	case cooldown > 0:
		a.Cooled, a.CooledBy, a.CoolFor = now, id, max(a.CoolFor, cooldown)
	}
}

func (a *account) refund(id uint64) {
	a.Bookings = slices.DeleteFunc(a.Bookings, func(b booking) bool { return b.ID == id })
}

// reserve books an attempt on all targets, or on none.
func (l *Ledger) reserve(r Reserve) Answer {
	if r.Population != nil {
		if reason := l.askPopulation(r); reason != "" {
			return Answer{State: Refused, Guard: GuardPopulation, Reason: reason}
		}
	}
	for _, target := range r.Targets {
		acct := l.accounts[targetKey(target)]
		if acct == nil || slices.Contains(r.Override, string(GuardRate)) {
			continue
		}
		id := idOf(r.Run, r.Step, target)
		if reason := l.over(acct, r.Rate, id); reason != "" {
			return Answer{State: Refused, Guard: GuardRate, Reason: target + " " + reason + ", by the guards of " + ofRunbook}
		}
		if reason := l.over(acct, r.EngineRate, id); reason != "" {
			return Answer{State: Refused, Guard: GuardRate, Reason: target + " " + reason + ", by the guards of " + ofEngine}
		}
	}
	if all := slices.Concat(r.Rate, r.EngineRate); len(all) > 0 {
		for _, target := range r.Targets {
			l.bookOn(l.account(targetKey(target)), all, idOf(r.Run, r.Step, target))
		}
	}
	l.work(r)
	return Answer{State: Admitted}
}
