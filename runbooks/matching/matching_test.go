package matching_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

// compile takes triggers as "Alert matcher matcher".
func compile(t *testing.T, triggers ...string) []matching.Condition {
	t.Helper()
	conditions, problems := matching.Compile(split(triggers), &document.Node{Kind: document.List})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return conditions
}

func split(texts []string) (triggers []matching.Trigger) {
	for _, text := range texts {
		alert, matchers, _ := strings.Cut(text, " ")
		triggers = append(triggers, matching.Trigger{Alert: alert, Matchers: strings.Fields(matchers)})
	}
	return triggers
}

func TestConditions(t *testing.T) {
	alert := map[string]string{"alertname": "High", "env": "prod", "pod": "a-1"}
	for trigger, want := range map[string]bool{
		"High":                     true,
		"Low":                      false,
		`High env="prod"`:          true,
		`High env="staging"`:       false,
		` env="prod" pod=~"a-.*"`:  true,
		` env=~"pro"`:              false, // a regular expression is anchored
		`High missing=""`:          true,
		`High missing!="x"`:        true,
		`High env!~"staging|test"`: true,
		`High env=~"staging|prod"`: true,
		`High env!="prod"`:         false,
		` alertname=~"High|Low"`:   true,
	} {
		if got := compile(t, trigger)[0].Matches(alert); got != want {
			t.Errorf("%s: %v", trigger, got)
		}
	}
}

func TestDemands(t *testing.T) {
	for trigger, want := range map[string]map[string][]string{
		"High":                            {"alertname": {"High"}},
		` env=~"a|b"`:                     {"env": {"a", "b"}},
		` env=~"a|b" env!="a"`:            {"env": {"b"}},
		` env=~"a|b" env=~"b|c"`:          {"env": {"b"}},
		` env=~"a.*"`:                     {},
		`High env!="x"`:                   {"alertname": {"High"}},
		`High env=""`:                     {"alertname": {"High"}},
		` env=~"a|b" env=~"a.*" team="x"`: {"env": {"a"}, "team": {"x"}},
	} {
		if got := compile(t, trigger)[0].Demands(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", trigger, got, want)
		}
	}
}

func TestProblems(t *testing.T) {
	src := `- alert: A
  matchers: ['env="prod"']
- {}
- matchers: ['a!="b"']
- matchers: ['a="b', "a~\"b\"", 'a=~"("', 'a="b", c="d"', '']
- matchers: ['env="prod"', 'alertname="A"']
- alert: B
  matchers: [alertname="A"]
- matchers: ['a=~"x|y"', 'a!~"x|y|z"']
`
	want := []string{
		"3:3 empty-trigger", "4:3 empty-trigger", "5:17 matcher", "5:24 matcher", "5:33 matcher", "5:43 matcher", "5:59 matcher",
		"6:3 duplicate-trigger", "7:3 contradiction", "9:3 contradiction",
	}
	nodes, problems := document.Parse("f", []byte(src))
	var triggers []matching.Trigger
	problems = append(problems, document.Decode(nodes[0], &triggers)...)
	_, found := matching.Compile(triggers, nodes[0])
	var got []string
	for _, p := range append(problems, found...) {
		got = append(got, fmt.Sprintf("%d:%d %s", p.Line, p.Col, p.Code))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// The index finds what a scan finds, over random triggers and alerts of few
// labels and values, so that they often meet.
func TestIndexFindsWhatAScanFinds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 300 {
		owners := make([][]matching.Condition, random.IntN(20))
		for i := range owners {
			owners[i] = randomConditions(random)
		}
		index := matching.NewIndex(owners)
		for range 50 {
			alert := randomAlert(random)
			var want []int
			for i, conditions := range owners {
				if slices.ContainsFunc(conditions, func(c matching.Condition) bool { return c.Matches(alert) }) {
					want = append(want, i)
				}
			}
			found += len(want)
			if got := index.Match(alert); !slices.Equal(got, want) {
				t.Fatalf("%v: %v, want %v", alert, got, want)
			}
		}
	}
	if found < 1000 {
		t.Errorf("only %d alerts met a trigger; the test tells little", found)
	}
}

var (
	names  = []string{"alertname", "env", "team"}
	values = []string{"", "a", "b", "c"}
	forms  = []string{`%s="%s"`, `%s!="%s"`, `%s=~"%s"`, `%s!~"%s"`, `%s=~"%s|c"`, `%s=~"%s.*"`, `%s=~".*%s"`}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func randomConditions(r *rand.Rand) []matching.Condition {
	triggers := make([]matching.Trigger, r.IntN(4))
	for i := range triggers {
		if r.IntN(2) == 0 {
			triggers[i].Alert = pick(r, values)
		}
		for range r.IntN(3) {
			triggers[i].Matchers = append(triggers[i].Matchers, fmt.Sprintf(pick(r, forms), pick(r, names), pick(r, values)))
		}
	}
	// Those that are refused, such as the empty one, are left out.
	conditions, _ := matching.Compile(triggers, &document.Node{Kind: document.List})
	return conditions
}

func randomAlert(r *rand.Rand) map[string]string {
	alert := map[string]string{}
	for _, name := range names {
		if v := pick(r, values); v != "" {
			alert[name] = v
		}
	}
	return alert
}
