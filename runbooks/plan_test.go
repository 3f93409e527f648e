package runbooks_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/runbooks"
)

const everything = `
runbook: everything
summary: Use all of the language.
description: Prose.
owner: us
triggers: [{alert: A, matchers: ['env="prod"']}]
params:
  db: {type: string, from: alert.labels.db, doc: Prose.}
  big: {type: integer, default: 9007199254740993}
  half: {type: number, default: 0.5}
  whole: {type: number, default: 2}
  loud: {type: boolean, default: true}
  age: {type: duration, default: 90s}
when: params.big == 9007199254740993 and params.age == duration("90s") and params.loud and params.whole / 2 == 1
autonomy: auto
guards: {max_targets: {count: 5}}
steps:
  - id: look
    doc: Prose.
    do: prometheus.query
    with: {query: 'up{db="${params.db}"} > ${params.half}'}
  - id: act
    if: steps.look.output.value > params.half
    do: postgres.terminate_backends
    with: {database: '${params.db}', state: idle, older_than: '${params.age}', limit: 7, dry: '${params.loud}', ratio: '${params.half / params.whole}'}
  - id: ask
    if: steps.act.output.count == 2 and steps.act.output.results[1].pid == 9007199254740993
    do: http.request
    with: {url: 'http://a/${steps.act.output.results[0].pid}', expect: [200, '${200 + 1}'], headers: {A: 'b'}}
verify: {do: prometheus.query, with: {query: up}, until: value < 0.7}
`

func firing(labels map[string]string) runbooks.Alert {
	return runbooks.Alert{Status: "firing", Labels: labels, StartsAt: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), Fingerprint: "f1"}
}

// throughJSON is what becomes of a plan on its way through a history.
func throughJSON(t *testing.T, p runbooks.Plan) runbooks.Plan {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back runbooks.Plan
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestAPlanEvaluatesTheSameOutOfAHistory(t *testing.T) {
	rb := one(t, everything)
	plan := rb.ForAlert(firing(map[string]string{"alertname": "A", "env": "prod", "db": "orders"}))
	if plan.Refusal != "" {
		t.Fatal(plan.Refusal)
	}
	moment := runbooks.Moment{Now: time.Unix(1e9, 0).UTC(), Steps: map[string]runbooks.Facts{
		"look": {Outcome: "done", Output: json.RawMessage(`{"value": 0.75, "series": []}`)},
		"act":  {Outcome: "done", Targets: 2, Output: json.RawMessage(`{"count": 2, "results": [{"pid": 1}, {"pid": 9007199254740993}]}`)},
	}}
	wants := []string{
		`{"query":"up{db=\"orders\"} \u003e 0.5"}`,
		`{"database":"orders","state":"idle","older_than":"1m30s","limit":7,"dry":true,"ratio":0.25}`,
		`{"url":"http://a/1","method":"GET","headers":{"A":"b"},"expect":[200,201],"timeout":"10s"}`,
	}
	twice := throughJSON(t, throughJSON(t, plan))
	for name, p := range map[string]runbooks.Plan{"as made": plan, "once": throughJSON(t, plan), "twice": twice} {
		e := runbooks.NewEvaluator(testCatalog())
		if yes, err := e.When(&p, moment); err != nil || !yes {
			t.Errorf("%s: when is %v, %v", name, yes, err)
		}
		for i, want := range wants {
			if got := e.Prepare(&p, moment, i); !got.Run || string(got.With) != want {
				t.Errorf("%s: step %d: %+v\ngives %s\n want %s", name, i, got, got.With, want)
			}
		}
		if got := p.Document.Digest(); got != rb.Digest() || p.Digest != rb.Digest() {
			t.Errorf("%s: the digest is %s and %s, was %s", name, p.Digest, got, rb.Digest())
		}
	}
	if !reflect.DeepEqual(throughJSON(t, plan), twice) {
		t.Error("a plan still changes on its second way through a history")
	}
}

func TestDigestIsThatOfTheBehaviour(t *testing.T) {
	base := one(t, everything).Digest()
	for change, same := range map[string]bool{
		"Use all of the language. => Something else.":              true,
		"description: Prose. => description: Other.":               true,
		"owner: us => owner: them":                                 true,
		"doc: Prose.} => doc: Other.}":                             true,
		"    doc: Prose. =>     doc: Other.":                       true,
		"autonomy: auto => autonomy: {level: auto}":                true,
		"{max_targets: {count: 5}} => {max_targets: {count:   5}}": true,
		"limit: 7 => limit: 8":                                     false,
		"value < 0.7 => value < 0.8":                               false,
		"count: 5 => count: 6":                                     false,
		"autonomy: auto => autonomy: propose":                      false,
		`env="prod" => env="test"`:                                 false,
		"default: 0.5 => default: 0.25":                            false,
		"id: ask => id: asks":                                      false,
		"9007199254740993} => 9007199254740992}":                   false,
		"A: 'b' => A: 'c'":                                         false,
	} {
		old, new, _ := strings.Cut(change, " => ")
		changed := strings.Replace(everything, old, new, 1)
		if changed == everything && old != new {
			t.Fatalf("%s changes nothing", change)
		}
		if got := one(t, changed).Digest(); (got == base) != same {
			t.Errorf("%s: the digest is %s, was %s", change, got, base)
		}
	}
}

func TestPlanOfAnAlert(t *testing.T) {
	labels := map[string]string{"alertname": "A", "env": "prod", "db": "orders"}
	for name, c := range map[string]struct {
		document string
		labels   map[string]string
		mode     runbooks.Mode
		refusal  string
	}{
		"auto":    {everything, labels, runbooks.ModeLive, ""},
		"propose": {strings.Replace(everything, "autonomy: auto", "", 1), labels, runbooks.ModePropose, ""},
		"hostile": {everything, map[string]string{"alertname": "A", "env": "prod", "db": "a'; DROP TABLE b"}, runbooks.ModeLive, "parameter db (from alert.labels.db)"},
		"missing": {everything, map[string]string{"alertname": "A", "env": "prod"}, runbooks.ModeLive, "the alert has no labels.db"},
	} {
		p := one(t, c.document).ForAlert(firing(c.labels))
		if p.Mode != c.mode || (c.refusal == "") != (p.Refusal == "") || !strings.Contains(p.Refusal, c.refusal) {
			t.Errorf("%s: mode %s, refusal %q", name, p.Mode, p.Refusal)
		}
		if p.Alert.Labels["env"] != "prod" || p.Source != runbooks.FromAlert || !strings.HasPrefix(p.RunID(), "everything.f1-") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestPlanOfAPerson(t *testing.T) {
	rb := one(t, strings.Replace(everything, "autonomy: auto", "autonomy: off", 1))
	p, err := rb.ForExec(map[string]any{"db": "orders", "half": "0.75"}, runbooks.ModeDryRun, "me", "because", "e1")
	if err != nil {
		t.Fatal(err)
	}
	if p.Mode != runbooks.ModeDryRun || p.Actor != "me" || p.RunID() != "everything.e1" || p.Params["half"] != 0.75 || p.Alert != nil {
		t.Errorf("%+v", p)
	}
	if _, err := rb.ForExec(nil, runbooks.ModeLive, "me", "", "e1"); err == nil || !strings.Contains(err.Error(), "--set db=…") {
		t.Errorf("without its parameter: %v", err)
	}
}

func TestRunIDsGoBothWays(t *testing.T) {
	id := runbooks.RunID("a-b", "f1.2-x/y")
	if got, ok := runbooks.RunIDOf(runbooks.WorkflowID(id)); !ok || got != id {
		t.Errorf("%s became %s, %v", id, got, ok)
	}
	for _, other := range []string{"", "run/a", "ledger/a/b"} {
		if got, ok := runbooks.RunIDOf(other); ok {
			t.Errorf("%q is the run %s", other, got)
		}
	}
}

// What an alert says is checked as it came, and kept in a size that a history
// can hold.
func TestAlertsAreCutToSize(t *testing.T) {
	long := strings.Repeat("é", 1_000_000)
	labels := map[string]string{"alertname": "A", "long": long, long: "x"}
	for i := range 1000 {
		labels[strings.Repeat("l", i%200+1)+string(rune('a'+i%26))] = "v"
	}
	a := firing(labels)
	a.Annotations, a.GeneratorURL = map[string]string{"text": long}, long
	bounded := a.Bounded()
	raw, err := json.Marshal(bounded)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 100<<10 || !strings.HasSuffix(bounded.Annotations["text"], "bytes more)") || len(bounded.Labels) > 200 {
		t.Errorf("%d bytes, %d labels", len(raw), len(bounded.Labels))
	}
	if a.Labels["long"] != long {
		t.Error("the alert itself was changed")
	}
	if bounded.Episode() != a.Episode() {
		t.Error("the episode changed with the size")
	}
}
