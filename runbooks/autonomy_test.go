package runbooks_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

func environment(t *testing.T, config string) runbooks.Environment {
	t.Helper()
	nodes, problems := document.Parse("c", []byte(config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	var e runbooks.Environment
	if err := document.Decode(nodes[0], &e).Err(); err != nil {
		t.Fatal(err)
	}
	return e
}

var prod = map[string]string{"alertname": "A", "env": "prod"}

const inProd = `, rules: [{matchers: ['env="prod"'], max: `

// Each source lowers by itself, and says why.
func TestWhatLowersAutonomy(t *testing.T) {
	proven, unproven := runbooks.Standing{Holds: true, Reason: "proof 3 days old"}, runbooks.Standing{Reason: "no game day has proven it"}
	auto := runbooks.Autonomy{Level: runbooks.Auto, Proof: &runbooks.Proof{}}
	for name, c := range map[string]struct {
		own    runbooks.Autonomy
		config string
		labels map[string]string
		open   []runbooks.Window
		proof  runbooks.Standing
		want   runbooks.Level
		why    []string
	}{
		"nothing":              {auto, "{}", prod, nil, proven, runbooks.Auto, nil},
		"the document":         {runbooks.Autonomy{Level: runbooks.Propose}, "{}", prod, nil, unproven, runbooks.Propose, nil},
		"the engine":           {auto, "{max: propose}", prod, nil, proven, runbooks.Propose, []string{"the engine allows at most propose"}},
		"the engine, off":      {auto, "{max: 'off'}", prod, nil, proven, runbooks.Off, []string{"the engine allows at most off"}},
		"the engine, higher":   {runbooks.Autonomy{Level: runbooks.Propose}, "{max: approve}", prod, nil, proven, runbooks.Propose, nil},
		"a rule":               {auto, "{max: auto" + inProd + "approve}]}", prod, nil, proven, runbooks.Approve, []string{`the engine allows at most approve where env="prod"`}},
		"a rule for others":    {auto, "{max: auto" + inProd + "approve}]}", map[string]string{"env": "dev"}, nil, proven, runbooks.Auto, nil},
		"a rule for the rest":  {auto, `{rules: [{matchers: ['env!="dev"'], max: propose}]}`, nil, nil, proven, runbooks.Propose, []string{`the engine allows at most propose where env!="dev"`}},
		"half a rule":          {auto, `{rules: [{matchers: ['env="prod"', 'team="db"'], max: propose}]}`, prod, nil, proven, runbooks.Auto, nil},
		"a window":             {auto, "{}", prod, []runbooks.Window{{Open: true, Name: "freeze", Autonomy: runbooks.Propose}}, proven, runbooks.Propose, []string{"window freeze is open and allows at most propose"}},
		"a window without":     {auto, "{}", prod, []runbooks.Window{{Open: true, Name: "night"}}, proven, runbooks.Auto, nil},
		"a closed window":      {auto, "{}", prod, []runbooks.Window{{Name: "freeze", Autonomy: runbooks.Propose}}, proven, runbooks.Auto, nil},
		"an unknown window":    {auto, "{}", prod, []runbooks.Window{{Open: true, Name: "night", Unknown: "it is gone"}}, proven, runbooks.Approve, []string{"window night allows at most approve: it counts as open, because it is gone"}},
		"an unknown freeze":    {auto, "{}", prod, []runbooks.Window{{Open: true, Name: "freeze", Autonomy: runbooks.Off, Unknown: "x"}}, proven, runbooks.Off, []string{"window freeze allows at most off"}},
		"an unknown, for auto": {auto, "{}", prod, []runbooks.Window{{Open: true, Name: "ok", Autonomy: runbooks.Auto, Unknown: "x"}}, proven, runbooks.Approve, []string{"window ok allows at most approve"}},
		"no proof":             {auto, "{}", prod, nil, unproven, runbooks.Approve, []string{"no game day has proven it"}},
		"no proof, and none is asked for": {
			runbooks.Autonomy{Level: runbooks.Auto}, "{}", prod, nil, unproven, runbooks.Auto, nil},
		"no proof, but asked anyway": {
			runbooks.Autonomy{Level: runbooks.Approve, Proof: &runbooks.Proof{}}, "{}", prod, nil, unproven, runbooks.Approve, nil},
		"two rules": {auto, `{rules: [{matchers: ['env="prod"'], max: propose}, {matchers: ['alertname="A"'], max: approve}]}`, prod, nil, proven, runbooks.Propose,
			[]string{"the engine allows at most propose where", "the engine allows at most approve where"}},
		"no such level": {runbooks.Autonomy{Level: "always"}, "{}", prod, nil, proven, runbooks.Off, []string{`there is no level "always"`}},
		"no such window level": {auto, "{}", prod, []runbooks.Window{{Open: true, Name: "w", Autonomy: "some"}}, proven, runbooks.Off,
			[]string{"window w is open and allows at most some"}},
	} {
		got, why := environment(t, c.config).Effective(c.own, c.labels, c.open, c.proof)
		if got != c.want || len(why) != len(c.why) {
			t.Errorf("%s: %s %q, want %s %q", name, got, why, c.want, c.why)
			continue
		}
		for i := range why {
			if !strings.HasPrefix(why[i], c.why[i]) {
				t.Errorf("%s: %q, want %q", name, why[i], c.why[i])
			}
		}
	}
}

// Of all combinations the lowest level wins, and exactly those sources are named
// that are below the document's own.
func TestTheLowestLevelWins(t *testing.T) {
	levels := []runbooks.Level{runbooks.Off, runbooks.Propose, runbooks.Approve, runbooks.Auto}
	n := 0
	for _, own := range levels {
		for _, max := range levels {
			for _, rule := range levels {
				for _, window := range levels {
					for _, holds := range []bool{true, false} {
						n++
						e := environment(t, "{max: '"+string(max)+"'"+inProd+"'"+string(rule)+"'}]}")
						got, why := e.Effective(runbooks.Autonomy{Level: own, Proof: &runbooks.Proof{}}, prod,
							[]runbooks.Window{{Open: true, Name: "freeze", Autonomy: window}}, runbooks.Standing{Holds: holds, Reason: "proof"})
						proof := runbooks.Auto
						if !holds {
							proof = runbooks.Approve
						}
						lowest, named := slices.Index(levels, own), 0
						for _, source := range []runbooks.Level{max, rule, window, proof} {
							if i := slices.Index(levels, source); i < slices.Index(levels, own) {
								named++
								lowest = min(lowest, i)
							}
						}
						if got != levels[lowest] || len(why) != named {
							t.Errorf("%s, engine %s, rule %s, window %s, proof %v: %s %q", own, max, rule, window, holds, got, why)
						}
					}
				}
			}
		}
	}
	if n != 512 {
		t.Errorf("%d combinations", n)
	}
}

func TestMistakesInTheEnvironment(t *testing.T) {
	for config, want := range map[string]string{
		"{max: always}":                                           "1:7 not-in-enum",
		"{rules: [{max: auto}]}":                                  "1:11 missing-key",
		"{rules: [{matchers: [], max: auto}]}":                    "1:21 too-small",
		"{rules: [{matchers: ['a=\"b\"']}]}":                      "1:11 missing-key",
		"{rules: [{matchers: ['a'], max: auto}]}":                 "1:22 matcher",
		"{rules: [{matchers: ['a=\"b\"'], max: auto, min: off}]}": "1:43 unknown-key",
	} {
		nodes, _ := document.Parse("c", []byte(config))
		var e runbooks.Environment
		problems := document.Decode(nodes[0], &e)
		if len(problems) != 1 || fmt.Sprintf("%d:%d %s", problems[0].Line, problems[0].Col, problems[0].Code) != want {
			t.Errorf("%s: %v", config, problems)
		}
	}
}
