package verdict_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

// immaterial is what may be missing of a drill that passed: prose, what is shown
// and not judged by, and what is there more than once. Everything else that is
// missing must cost the pass.
var immaterial = []string{
	`injections\.0\.(id|tries)`,                                   //
	`probes\.\d+\.samples\.\d+(\..*)?`,                            // one look of many; see below for those that matter
	`alerts\.0\.(starts_at|active_seen|resolved|decision|run_id)`, // figures and prose
	`alerts\.0\.labels\.(severity|env)`,                           // the plan asks for neither
	`webhooks(\.\d+(\..*)?)?`,                                     // as they came, for people
	`runs\.0\.(id|reason)`,                                        //
	`runs\.0\.steps\.\d+\.(do|ended)`,                             //
	`runs\.0\.steps\.0(\..*)?`,                                    // the step that only read
	`runs\.0\.steps\.1\.targets\.\d+`,                             // one target of two
}

func isImmaterial(path string) bool {
	return slices.ContainsFunc(immaterial, func(form string) bool { return regexp.MustCompile(`^` + form + `$`).MatchString(path) })
}

// Whatever single thing is taken out of the evidence of a drill that passed: it
// passes no more, unless that thing is listed above.
func TestNothingThatMattersMayBeMissing(t *testing.T) {
	whole := tree(t, baseEvidence())
	removed, used := 0, map[string]bool{}
	for _, path := range paths(whole, nil) {
		name := strings.Join(path, ".")
		v := judge(basePlan(), without(t, whole, path))
		removed++
		if v.Verdict == verdict.Passed && !isImmaterial(name) {
			t.Errorf("without %s it still passes", name)
		}
		for _, form := range immaterial {
			if v.Verdict == verdict.Passed && regexp.MustCompile(`^`+form+`$`).MatchString(name) {
				used[form] = true
			}
		}
	}
	if removed < 300 {
		t.Errorf("only %d things were removed", removed)
	}
	for _, form := range immaterial {
		if !used[form] {
			t.Errorf("%s is listed as immaterial, and is not", form)
		}
	}
}

// Of the looks one alone may be missing. These together may not.
func TestLooksThatMatter(t *testing.T) {
	for name, span := range map[string][2]int{
		"before the fault":              {0, 9},
		"from the effect to the action": {12, 17},
		"at the recovery":               {17, 24},
		"of the hold":                   {19, 30},
		"after the healing":             {32, 35},
		"of the whole trial":            {11, 30},
	} {
		e := baseEvidence()
		e.Probes[0].Samples = slices.Delete(e.Probes[0].Samples, span[0], span[1]+1)
		if v := judge(basePlan(), e); v.Verdict == verdict.Passed {
			t.Errorf("without the looks %s it passes: %+v", name, v.Reasons)
		}
	}
}

func tree(t testing.TB, e gameday.Evidence) any {
	t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// paths are all keys and items of a tree, at each depth.
func paths(v any, at []string) (all [][]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			path := append(slices.Clone(at), key)
			all = append(append(all, path), paths(item, path)...)
		}
	case []any:
		for i, item := range v {
			path := append(slices.Clone(at), fmt.Sprint(i))
			all = append(append(all, path), paths(item, path)...)
		}
	}
	return all
}

// without is the evidence with one thing taken out.
func without(t testing.TB, whole any, path []string) (e gameday.Evidence) {
	t.Helper()
	raw, err := json.Marshal(pruned(whole, path))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("without %v: %v", path, err)
	}
	return e
}

func pruned(v any, path []string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, item := range v {
			if key != path[0] {
				out[key] = item
			} else if len(path) > 1 {
				out[key] = pruned(item, path[1:])
			}
		}
		return out
	case []any:
		out := []any{}
		for i, item := range v {
			if fmt.Sprint(i) != path[0] {
				out = append(out, item)
			} else if len(path) > 1 {
				out = append(out, pruned(item, path[1:]))
			}
		}
		return out
	}
	return v
}
