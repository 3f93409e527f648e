package verdict_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

// Whatever the plan and the evidence: a verdict comes, with a reason, and it is
// not `passed` unless the least that a pass means is there.
func FuzzJudge(f *testing.F) {
	for i := range mutations {
		f.Add(uint64(i), byte(i), byte(i%4), byte(i%2))
	}
	f.Fuzz(func(t *testing.T, seed uint64, which, changes, planned byte) {
		p, e := basePlan(), baseEvidence()
		mutations[int(which)%len(mutations)].change(&p, &e)
		r := rand.New(rand.NewPCG(seed, 1))
		if shuffled(t, r, &e, int(changes%8)) && shuffled(t, r, &p, int(planned%3)) {
			sane(t, p, e)
		}
	})
}

// The same with a few changes of evidence that passes, in every test run.
func TestShuffledEvidenceNeverPassesFalsely(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 2026))
	const rounds = 1500
	passed := 0
	for range rounds {
		e := baseEvidence()
		if shuffled(t, r, &e, 1+r.IntN(4)) && sane(t, basePlan(), e) == verdict.Passed {
			passed++
		}
	}
	if passed == 0 || passed > rounds*9/10 {
		t.Errorf("%d of %d pass: the shuffling is worth nothing", passed, rounds)
	}
}

// shuffled changes things of a value as many times: they are emptied, moved in
// time or made something else. It reports whether the value still has its form.
func shuffled[T any](t *testing.T, r *rand.Rand, into *T, times int) bool {
	var tree any
	if err := json.Unmarshal(encode(t, *into), &tree); err != nil {
		t.Fatal(err)
	}
	for range times {
		shuffle(r, &tree)
	}
	var out T
	if json.Unmarshal(encode(t, tree), &out) != nil {
		return false
	}
	*into = out
	return true
}

// shuffle changes one thing of a tree, the likelier the nearer it is to the root.
func shuffle(r *rand.Rand, v *any) {
	switch node := (*v).(type) {
	case map[string]any:
		keys := make([]string, 0, len(node))
		for key := range node {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if len(keys) == 0 {
			return
		}
		key := keys[r.IntN(len(keys))]
		if r.IntN(12) == 0 {
			delete(node, key)
			return
		}
		item := node[key]
		shuffle(r, &item)
		node[key] = item
	case []any:
		if len(node) == 0 {
			return
		}
		i := r.IntN(len(node))
		switch r.IntN(12) {
		case 0:
			*v = slices.Delete(node, i, i+1)
		case 1:
			*v = node[:i]
		default:
			shuffle(r, &node[i])
		}
	case string:
		*v = otherText(r, node)
	case bool:
		*v = !node
	case float64:
		*v = node * float64(r.IntN(1000))
	}
}

func otherText(r *rand.Rand, text string) any {
	if _, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return at(r.Float64() * 40).Format(time.RFC3339Nano)
	}
	choices := []string{"", "good", "bad", "missing", "ok", "failed", "fixed", "unknown", "live", "exec", "f1", "f2", "hold", "alerts", "runs", "checkout"}
	return choices[r.IntN(len(choices))]
}

// sane checks a verdict against the least that it means, told apart from how the
// judge finds it.
func sane(t *testing.T, p gameday.Plan, e gameday.Evidence) verdict.Name {
	t.Helper()
	v := judge(p, e)
	if len(v.Reasons) == 0 || v.Reasons[0].Code == "" || v.Reasons[0].Text == "" {
		t.Fatalf("%s has no reason: %s", v.Verdict, encode(t, e))
	}
	again := judge(p, e)
	if string(encode(t, v)) != string(encode(t, again)) {
		t.Fatalf("twice the same is not the same:\n%s\n%s", encode(t, v), encode(t, again))
	}
	for _, i := range e.Injections {
		once := slices.ContainsFunc(p.Faults, func(f gameday.PlanFault) bool { return f.ID == i.Fault && f.OneShot })
		if !i.Requested.IsZero() && !once && (i.Healed.IsZero() || i.HealError != "") && v.Verdict != verdict.HealFailed {
			t.Fatalf("%s with an unhealed fault: %s", v.Verdict, encode(t, e))
		}
	}
	if v.Verdict != verdict.Passed && v.Verdict != verdict.Degraded {
		return v.Verdict
	}
	if e.Abort != nil || e.Digest != p.Digest {
		t.Fatalf("%s although aborted or of another plan: %s", v.Verdict, encode(t, e))
	}
	if p.Control == "" && p.Expect.Recovered != nil && p.Because() == gameday.ByRunbook && !worked(p, e) {
		t.Fatalf("%s, and the runbook did not do it: %s", v.Verdict, encode(t, e))
	}
	return v.Verdict
}

// worked is the least that «because of the runbook» means: its live run for an
// alert began to change something after a bad look and before a good one, while the
// fault was on and no person had a hand in it.
func worked(p gameday.Plan, e gameday.Evidence) bool {
	for _, r := range e.Runs {
		if r.Runbook != p.Proves.Runbook || r.Digest != p.Proves.Digest || r.Source != "alert" || r.Mode != "live" {
			continue
		}
		for _, s := range r.Steps {
			if s.Effect && !s.Acted.IsZero() && between(p, e, s.Started) {
				return true
			}
		}
	}
	return false
}

// between reports that a moment has a bad look before it and a good one after
// it, with the fault on and nobody interfering from the injection to that look.
func between(p gameday.Plan, e gameday.Evidence, acted time.Time) bool {
	var looks []gameday.Sample
	for _, s := range e.Probes {
		if s.ID == p.RecoveryProbe() {
			looks = s.Samples
			break
		}
	}
	for _, i := range e.Injections {
		if acted.Before(i.Requested) && !i.Requested.IsZero() {
			return false
		}
	}
	badBefore := slices.ContainsFunc(looks, func(s gameday.Sample) bool { return s.State == gameday.Bad })
	i := slices.IndexFunc(looks, func(s gameday.Sample) bool { return s.State == gameday.Good && !s.End().Before(acted) })
	if !badBefore || i < 0 {
		return false
	}
	for _, in := range e.Injections {
		once := slices.ContainsFunc(p.Faults, func(f gameday.PlanFault) bool { return f.ID == in.Fault && f.OneShot })
		if !once && (!in.Deadline.After(looks[i].At) || !in.HealIssued.After(looks[i].At)) {
			return false
		}
	}
	return true
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
