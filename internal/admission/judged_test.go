package admission_test

import "testing"

// at is an event at a time in milliseconds, which was asked and answered at once.
func at(kind, run, runbook string, token, ms int64) event {
	ns := ms * 1e6
	return event{Kind: kind, Run: run, Runbook: runbook, Resource: "r", Token: token, Sent: ns, Done: ns}
}

func during(e event, sent, done int64) event {
	e.Sent, e.Done = sent*1e6, done*1e6
	return e
}

func released(e event, acted bool) event {
	e.Kind, e.Acted, e.Kept = "release", acted, true
	return e
}

// A judge that finds nothing shows nothing: each kind of violation is found where
// it is, and not in a history that just keeps the rule.
func TestTheJudgeFindsEachViolation(t *testing.T) {
	for name, c := range map[string]struct {
		kind           string
		before         []event
		within, beyond event
	}{
		"a lease that two hold": {heldTwice, []event{at("grant", "a", "", 1, 0), at("grant", "b", "", 2, 10)}, at("believe", "a", "", 1, 10), at("believe", "a", "", 1, 11)},
		"a token of two":        {sameToken, []event{at("grant", "a", "", 1, 0)}, at("grant", "a", "", 1, 5), at("grant", "b", "", 1, 5)},
		"a late effect":         {staleWrite, []event{at("write", "a", "", 1, 0), at("write", "b", "", 2, 5)}, at("write", "b", "", 2, 9), at("write", "a", "", 1, 9)},
		"a rate of a target":    {budgetExceeded, []event{at("reserve", "a", "", 0, 0), at("reserve", "b", "", 0, 10)}, at("reserve", "c", "", 0, 1000), at("reserve", "c", "", 0, 999)},
		"a rate of a runbook":   {budgetExceeded, []event{at("grant", "a", "heal", 1, 0), at("grant", "b", "heal", 2, 10)}, at("grant", "c", "heal", 3, 1000), at("grant", "c", "heal", 3, 999)},
		"a rate, of what acted": {
			budgetExceeded, []event{at("grant", "a", "heal", 1, 0), at("grant", "b", "heal", 2, 10), at("grant", "c", "heal", 3, 20)},
			released(at("", "a", "heal", 1, 5), false), released(at("", "a", "heal", 1, 5), true),
		},
		"a cooldown": {
			cooldownBroken, []event{at("grant", "a", "cool", 1, 0), released(at("", "a", "cool", 1, 100), true)},
			at("grant", "b", "cool", 2, 400), at("grant", "b", "cool", 2, 399),
		},
		"a cooldown from the turn": {cooldownBroken, []event{at("grant", "a", "cool", 1, 0)}, at("grant", "b", "cool", 2, 300), at("grant", "b", "cool", 2, 299)},
		"a halt": {
			haltIgnored, []event{during(at("halted", "ann", "", 0, 0), 100, 200)},
			during(at("grant", "a", "", 1, 0), 99, 150), during(at("grant", "a", "", 1, 0), 101, 150),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if found := judge(append(c.before, c.within)); len(found) > 0 {
				t.Errorf("in a history that keeps the rule it finds %v", found)
			}
			found := judge(append(c.before, c.beyond))
			if len(found) == 0 {
				t.Error("it finds nothing")
			}
			for _, v := range found {
				if v.kind != c.kind {
					t.Errorf("it finds %v", v)
				}
			}
		})
	}
}
