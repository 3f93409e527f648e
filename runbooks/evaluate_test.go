package runbooks_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/runbooks"
)

const asking = `
runbook: asking
summary: Ask.
params: {db: {type: string, from: alert.labels.db}, n: {type: integer, default: 5}}
when: WHEN
steps:
  - id: look
    do: prometheus.query
    with: {query: up}
  - id: act
    do: postgres.terminate_backends
    with: {database: '${params.db}', state: idle, older_than: 1s}
    verify: {do: prometheus.query, with: {query: up}, until: value > 1}
  - id: last
    if: IF
    do: kubernetes.rollout_restart
    with: {name: 'NAME'}
`

// ask makes a runbook whose last step has this condition and name.
func ask(t *testing.T, when, condition, name string) (*runbooks.Plan, *runbooks.Evaluator) {
	t.Helper()
	quoted, err := json.Marshal(condition)
	if err != nil {
		t.Fatal(err)
	}
	document := strings.NewReplacer("WHEN", when, "IF", string(quoted), "NAME", name).Replace(asking)
	alert := firing(map[string]string{"alertname": "A", "db": "orders", "severity": "page"})
	alert.Annotations = map[string]string{"summary": "It is $(hot) 漢"}
	plan := one(t, document).ForAlert(alert)
	if plan.Refusal != "" {
		t.Fatal(plan.Refusal)
	}
	return &plan, runbooks.NewEvaluator(testCatalog())
}

func seen() runbooks.Moment {
	return runbooks.Moment{
		Now: time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC), Windows: []string{"freeze"},
		Steps: map[string]runbooks.Facts{
			"look": {Outcome: "done", Targets: 1, Output: json.RawMessage(`{"value": 0.95, "series": [{"labels": {"pod": "p"}, "value": 2}]}`)},
			"act":  {Outcome: "not_fixed", Targets: 2, Error: "it did not help", Output: json.RawMessage(`{"count": 2, "results": [{"pid": 7}, {"pid": 8}]}`)},
		},
	}
}

// Every name that an expression may use has a value, of the type that it was
// checked for.
func TestEveryNameHasItsValue(t *testing.T) {
	for _, condition := range []string{
		`alert.name == "A"`, `alert.status == "firing"`, `alert.labels.severity == "page"`, `alert.labels.none == ""`, `alert.annotations.summary contains "hot"`,
		`alert.starts_at < now`, `now - alert.starts_at >= duration("0s")`, `alert.fingerprint == "f1"`, `alert.receiver == ""`,
		`params.db == "orders"`, `params.n == 5 and params.n / 2 == 2.5`, `run.id startsWith "asking.f1-"`, `run.source == "alert"`, `run.actor == "alertmanager"`,
		`"freeze" in windows`, `"other" not in windows`, `now.Year() == 2026`,
		`steps.look.outcome == "done"`, `steps.look.targets == 1`, `steps.look.error == ""`, `steps.look.output.value > 0.9`,
		`all(steps.look.output.series, .labels.pod == "p" and .labels.none == "")`, `steps.act.outcome in ["not_fixed", "unknown"]`,
		`steps.act.error != ""`, `steps.act.output.count == 2 and len(steps.act.output.results) == 2`, `any(steps.act.output.results, .pid == 8)`,
	} {
		plan, e := ask(t, "params.n > 1", condition, "a")
		if got := e.Prepare(plan, seen(), 2); !got.Run {
			t.Errorf("%s: %+v", condition, got)
		}
	}
}

func TestAConditionWithoutAnAnswerKeepsTheStepFromRunning(t *testing.T) {
	for condition, says := range map[string]string{
		`steps.look.output.value / (params.n - 5) > 0`: "division by zero",
		`steps.look.output.series[5].value > 0`:        "index out of range",
		`float(alert.labels.severity) > 0`:             `"page" is not a number`,
	} {
		plan, e := ask(t, "params.n > 1", condition, "a")
		if got := e.Prepare(plan, seen(), 2); got.Run || !got.Failed || !strings.Contains(got.Reason, says) {
			t.Errorf("%s: %+v", condition, got)
		}
	}
	plan, e := ask(t, "1 / (params.n - 5) < 3", "params.n > 1", "a")
	if yes, err := e.When(plan, seen()); yes || err == nil || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("when: %v, %v", yes, err)
	}
	plan, e = ask(t, "params.n > 1", "params.n > 7", "a")
	if got := e.Prepare(plan, seen(), 2); got.Run || got.Failed || got.Reason != "its condition is false: params.n > 7" {
		t.Errorf("a false condition: %+v", got)
	}
}

func TestAStepWithoutOutputSaysWhy(t *testing.T) {
	plan, e := ask(t, "params.n > 1", "steps.look.output.value > 0.9", "a")
	m := seen()
	m.Steps["look"] = runbooks.Facts{Outcome: "skipped"}
	if got := e.Prepare(plan, m, 2); got.Run || !got.Failed || !strings.HasSuffix(got.Reason, "step look has no output, it is skipped") {
		t.Errorf("%+v", got)
	}
	delete(m.Steps, "look")
	if got := e.Prepare(plan, m, 2); got.Run || !strings.HasSuffix(got.Reason, "step look has no output, it is not run") {
		t.Errorf("%+v", got)
	}
	m.Steps["look"] = runbooks.Facts{Outcome: "done", Output: json.RawMessage(`{"value": "0.95`)}
	if got := e.Prepare(plan, m, 2); got.Run || !strings.Contains(got.Reason, "output of step look") {
		t.Errorf("%+v", got)
	}
}

func TestParametersAreCheckedWhenTheyAreFilledIn(t *testing.T) {
	const document = `
runbook: filled
summary: Fill.
params: {state: {type: string}, age: {type: string}, limit: {type: integer}}
steps:
  - id: act
    do: postgres.terminate_backends
    with: {database: orders, state: '${params.state}', older_than: '${params.age}', limit: '${params.limit}'}
`
	for set, says := range map[[3]string]string{
		{"idle", "5s", "20"}:        "",
		{"busy", "5s", "20"}:        `state can not be "busy"`,
		{"idle", "5 s", "20"}:       "older_than must be a duration",
		{"idle", "5s", "0"}:         "limit must be at least 1",
		{"${x}", "5s", "20"}:        `state can not be "${x}"`, // a value is not read again
		{"idle", "$(reboot)", "20"}: "older_than must be a duration",
	} {
		plan, err := one(t, document).ForExec(map[string]any{"state": set[0], "age": set[1], "limit": set[2]}, runbooks.ModeLive, "me", "", "e")
		if err != nil {
			t.Fatal(err)
		}
		got := runbooks.NewEvaluator(testCatalog()).Prepare(&plan, runbooks.Moment{}, 0)
		if got.Run != (says == "") || got.Failed == got.Run || !strings.Contains(got.Reason, says) {
			t.Errorf("%v: %+v", set, got)
		}
	}
}

func TestUntil(t *testing.T) {
	e := runbooks.NewEvaluator(testCatalog())
	const output = `{"status": 200, "body": "", "json": {"ready": true, "n": 3}, "duration": "120ms"}`
	for until, want := range map[string]bool{
		`status == 200 && duration < duration("500ms")`: true, `json.ready`: true, `json.n == 3`: true, `json.ready and status == 500`: false, `json.none == nil`: true,
	} {
		if yes, err := e.Until("http.request", until, json.RawMessage(output)); err != nil || yes != want {
			t.Errorf("%s: %v, %v", until, yes, err)
		}
	}
	for until, output := range map[string]string{
		`json.none`: output, `json.none > 3`: output, `status > 200`: `{"status": null}`, `duration > duration("1s")`: `{"duration": "soon"}`,
		`status == 200`: ``, `status != 200`: `{}`, `status < 300`: `[]`, `body != ""`: `{"body": 5`,
	} {
		if yes, err := e.Until("http.request", until, json.RawMessage(output)); yes || err == nil {
			t.Errorf("%s of %s: %v, %v", until, output, yes, err)
		}
	}
	if yes, err := e.Until("http.reqest", "true", nil); yes || err == nil {
		t.Errorf("an unknown action: %v, %v", yes, err)
	}
}

// A page goes out whatever its text asks for.
func TestTextForPeopleLeavesWhatHasNoAnswer(t *testing.T) {
	plan, e := ask(t, "params.n > 1", "params.n > 1", "a")
	for text, want := range map[string]string{
		"plain":                         "plain",
		"${alert.annotations.summary}!": "It is $(hot) 漢!",
		"at ${steps.look.output.value} of ${steps.look.output.series}": "at 0.95 of ${steps.look.output.series}",
		"${steps.last.output.value} ${nope} ${1 / 0} ${":               "${steps.last.output.value} ${nope} ${1 / 0} ${",
		"${steps.last.outcome} ${nope} ${params.n}":                    "${steps.last.outcome} ${nope} 5",
		"$${params.n}": "${params.n}",
		"${params.n}":  "5",
	} {
		if got := e.Text(plan, seen(), text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// After a step has failed, only those run that ask about it.
func TestAfterAFailure(t *testing.T) {
	m := seen()
	m.Failed = []string{"act"}
	m.Steps["act"] = runbooks.Facts{Outcome: "failed", Error: "no"}
	for condition, want := range map[string]bool{
		`steps.act.outcome == "failed"`: true, `steps["act"].error != ""`: true, `params.n > 1`: false, `steps.look.outcome == "done"`: false,
	} {
		plan, e := ask(t, "params.n > 1", condition, "a")
		if got := e.Prepare(plan, m, 2); got.Run != want || got.Failed {
			t.Errorf("%s: %+v", condition, got)
		}
	}
}

// A dry run does not guess what a step that it left out would have given.
func TestADryRunDoesNotGuess(t *testing.T) {
	m := seen()
	m.LeftOut = []string{"act"}
	m.Steps["act"] = runbooks.Facts{Outcome: "skipped"}
	for _, c := range []struct {
		condition, name string
		undecided       bool
	}{
		{`params.n > 1`, "a", false},
		{`steps.act.outcome == "fixed"`, "a", true},
		{`params.n > 1`, "pid-${steps.act.output.results[0].pid}", true},
	} {
		plan, e := ask(t, "params.n > 1", c.condition, c.name)
		got := e.Prepare(plan, m, 2)
		if got.Undecided != c.undecided || got.Failed || c.undecided && !strings.Contains(got.Reason, "depends on step act") {
			t.Errorf("%s, %s: %+v", c.condition, c.name, got)
		}
	}
}

func TestResultsOfManyTargetsAreJoined(t *testing.T) {
	for _, c := range []struct {
		selects bool
		results []string
		want    string
	}{
		{false, []string{`{"a":1}`}, `{"a":1}`},
		{true, []string{`{"a":1}`, `{"a":2}`}, `{"count":2,"results":[{"a":1},{"a":2}]}`},
		{true, nil, `{"count":0,"results":[]}`},
		{false, nil, ""},
		{false, []string{"1", "2"}, ""},
	} {
		var results []json.RawMessage
		for _, r := range c.results {
			results = append(results, json.RawMessage(r))
		}
		got, err := runbooks.JoinResults(c.selects, results)
		if string(got) != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
	}
}
