package admission_test

import (
	"fmt"
	"slices"
	"time"
)

const (
	heldTwice      = "lease held twice"
	sameToken      = "token given twice"
	staleWrite     = "effect after that of a later holder"
	budgetExceeded = "budget exceeded"
	cooldownBroken = "cooldown broken"
	haltIgnored    = "turn given while halted"
)

type violation struct{ kind, text string }

func (v violation) String() string { return v.kind + ": " + v.text }

func sorted(history []event) map[string][]event {
	by := map[string][]event{}
	for _, e := range history {
		by[e.Kind] = append(by[e.Kind], e)
	}
	return by
}

func refusals(history []event) map[string]int {
	why := map[string]int{}
	for _, e := range sorted(history)["refused"] {
		why[e.Why]++
	}
	return why
}

// ample reports whether enough happened to show something.
func ample(history []event) bool {
	by, why := sorted(history), refusals(history)
	return len(by["grant"]) >= 50 && len(by["write"]) >= 200 && len(by["reserve"]) >= 20 && why["cooldown"] > 0 && why["reserve"] > 0
}

func tell(history []event) string {
	by := sorted(history)
	return fmt.Sprintf("%d events: %d turns, %d effects, %d that came too late for the register, %d reservations, %d releases; refused %v",
		len(history), len(by["grant"]), len(by["write"]), len(by["stale"]), len(by["reserve"]), len(by["release"]), refusals(history))
}

// judge looks for what must not be. It only reports what is certain: whatever
// happened between the question and the answer may have happened at any time in
// between.
func judge(history []event) []violation {
	by := sorted(history)
	return slices.Concat(
		heldTwices(by["grant"], by["believe"]), sameTokens(by["grant"]), staleWrites(by["write"]),
		budgets(by["reserve"], time.Duration(targetRate.Per), targetRate.N), runBudgets(by["grant"], by["release"]),
		cooldowns(by["grant"], by["release"]), halts(by["halted"], by["grant"]),
	)
}

// heldTwices: a worker that believes in its lease after the next holder has got
// its own.
func heldTwices(grants, believes []event) (out []violation) {
	for _, b := range believes {
		for _, g := range grants {
			if g.Resource == b.Resource && g.Token > b.Token && g.Done < b.Sent {
				out = append(out, violation{heldTwice, fmt.Sprintf("%s: %s believes to hold it %s after %s got it",
					b.Resource, b.Run, time.Duration(b.Sent-g.Done), g.Run)})
				break
			}
		}
	}
	return out
}

func sameTokens(grants []event) (out []violation) {
	owner := map[int64]string{}
	for _, g := range grants {
		if other, taken := owner[g.Token]; taken && other != g.Run {
			out = append(out, violation{sameToken, fmt.Sprintf("%d: %s and %s", g.Token, other, g.Run)})
		}
		owner[g.Token] = g.Run
	}
	return out
}

// staleWrites are in the order in which the register took them.
func staleWrites(writes []event) (out []violation) {
	newest := map[string]event{}
	for _, w := range writes {
		if n := newest[w.Resource]; w.Token < n.Token {
			out = append(out, violation{staleWrite, fmt.Sprintf("%s: %s after %s", w.Resource, w.Run, n.Run)})
			continue
		}
		newest[w.Resource] = w
	}
	return out
}

func budgets(booked []event, per time.Duration, n int) (out []violation) {
	for _, first := range booked {
		within := map[string]bool{}
		for _, e := range booked {
			if e.Resource == first.Resource && e.Sent >= first.Sent && e.Done < first.Sent+int64(per) {
				within[e.Run] = true
			}
		}
		if len(within) > n {
			out = append(out, violation{budgetExceeded, fmt.Sprintf("%s: %d within %s", first.Resource, len(within), per)})
		}
	}
	return out
}

// runBudgets leaves out the runs that did nothing: they get their booking back.
func runBudgets(grants, releases []event) (out []violation) {
	refunded := map[string]bool{}
	for _, e := range releases {
		refunded[e.Run] = !e.Acted
	}
	rated := slices.DeleteFunc(slices.Clone(grants), func(g event) bool { return g.Runbook != "heal" || refunded[g.Run] })
	return budgets(rated, time.Duration(runRate.Per), runRate.N)
}

// cooldowns count from the release of a lease that was held, and at the least
// from the turn.
func cooldowns(grants, releases []event) (out []violation) {
	released := map[string]event{}
	for _, e := range releases {
		released[e.Run] = e
	}
	for _, first := range grants {
		from := first.Sent
		e, is := released[first.Run]
		switch {
		case first.Runbook != "cool" || is && !e.Acted:
			continue
		case is && e.Kept:
			from = e.Sent
		}
		for _, g := range grants {
			if g.Runbook == "cool" && g.Resource == first.Resource && g.Token > first.Token && g.Done < from+int64(cooldown) {
				out = append(out, violation{cooldownBroken, fmt.Sprintf("%s: %s acts %s after %s", g.Resource, g.Run, time.Duration(g.Done-from), first.Run)})
			}
		}
	}
	return out
}

func halts(halted, grants []event) (out []violation) {
	for _, h := range halted {
		for _, g := range grants {
			if g.Sent > h.Sent && g.Done < h.Done {
				out = append(out, violation{haltIgnored, g.Run})
			}
		}
	}
	return out
}
