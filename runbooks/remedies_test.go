package runbooks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/runbooks"
)

// chain uses what there is about remedies, guards and time.
const chain = `
runbook: chain
summary: Relieve, then restart.
triggers: [{alert: A}]
params: {db: {type: string, from: alert.labels.db}, n: {type: integer, default: 3}}
autonomy: auto
for: 2m
healthy_delay: 5m
hold_page: 3m
guards:
  resource: postgres/${params.db}
  cooldown: 10m
  rate: [3/h, 7/d]
  rate_per_target: [1/d]
  max_targets: {percent: 50}
  min_healthy: {count: 2}
  max_errors: 2
  batch: {size: 2, pause: 1m}
  on_conflict: replace
  approve: {at: disruptive, by: [approver], count: 2, within: 5m, otherwise: skip}
remedies:
  - id: relieve
    within: 2m
    steps:
      - {id: look, do: prometheus.query, with: {query: up}}
      - {id: end, do: postgres.terminate_backends, with: {database: '${params.db}', state: idle, older_than: 30s}}
  - id: restart
    doc: Prose.
    if: steps.look.output.value > params.n
    steps:
      - {id: again, doc: Prose., do: kubernetes.rollout_restart, with: {name: '${params.db}'}}
verify: {do: prometheus.query, with: {query: up}, until: value > 1}
`

func TestTheStepsOfRemediesAreNumberedThrough(t *testing.T) {
	rb := one(t, chain)
	var ids []string
	for _, s := range rb.AllSteps() {
		ids = append(ids, s.ID)
	}
	if len(ids) != 3 || ids[0] != "look" || ids[1] != "end" || ids[2] != "again" {
		t.Errorf("the steps are %v", ids)
	}
	e := runbooks.NewEvaluator(testCatalog())
	p := rb.ForAlert(firing(map[string]string{"alertname": "A", "db": "orders"}))
	if got := e.Prepare(&p, seen(), 2); !got.Run || string(got.With) != `{"name":"orders"}` {
		t.Errorf("the step of the second remedy: %+v", got)
	}
}

func chained(t *testing.T, db string) (*runbooks.Plan, *runbooks.Evaluator) {
	t.Helper()
	p := one(t, chain).ForAlert(firing(map[string]string{"alertname": "A", "db": db}))
	p.Refusal = ""
	p.Params["db"] = db // also what no alert could say
	return &p, runbooks.NewEvaluator(testCatalog())
}

func TestResource(t *testing.T) {
	for db, want := range map[string]string{
		"orders":                 "postgres/orders",
		"漢":                      "postgres/漢",
		strings.Repeat("x", 244): "postgres/" + strings.Repeat("x", 244),
		"${params.n}":            "postgres/${params.n}", // a value is not read again
	} {
		p, e := chained(t, db)
		if got, err := e.Resource(p, seen()); err != nil || got != want {
			t.Errorf("%q: %q, %v", db, got, err)
		}
	}
	for _, db := range []string{"", "a b", "a\nb", "a/", "a\x00", strings.Repeat("x", 245)} {
		p, e := chained(t, db)
		if got, err := e.Resource(p, seen()); err == nil || got != "" {
			t.Errorf("%q: %q, %v", db, got, err)
		}
	}
	p, e := chained(t, "orders")
	p.Document.Guards.Resource = ""
	if got, err := e.Resource(p, seen()); err != nil || got != "" {
		t.Errorf("without a resource: %q, %v", got, err)
	}
	p.Document.Guards.Resource = "a-${params.n / 0}"
	if got, err := e.Resource(p, seen()); err == nil || got != "" || !strings.Contains(err.Error(), "division by zero") {
		t.Errorf("without an answer: %q, %v", got, err)
	}
}

func TestWhetherARemedyIsTried(t *testing.T) {
	p, e := chained(t, "orders")
	for value, want := range map[string]bool{"3.5": true, "3": false} {
		m := seen()
		m.Steps["look"] = runbooks.Facts{Outcome: "done", Output: json.RawMessage(`{"value": ` + value + `, "series": []}`)}
		try, reason, err := e.Remedy(p, m, 1)
		if err != nil || try != want || want != (reason == "") || !want && reason != "its condition is false: steps.look.output.value > params.n" {
			t.Errorf("%s: %v, %q, %v", value, try, reason, err)
		}
	}
	if try, reason, err := e.Remedy(p, runbooks.Moment{}, 0); !try || reason != "" || err != nil {
		t.Errorf("without a condition: %v, %q, %v", try, reason, err)
	}
	m := seen()
	m.Steps["look"] = runbooks.Facts{Outcome: "failed"}
	if try, _, err := e.Remedy(p, m, 1); try || err == nil || !strings.HasSuffix(err.Error(), "step look has no output, it is failed") {
		t.Errorf("without an answer: %v, %v", try, err)
	}
	m.LeftOut = []string{"look"}
	if try, reason, err := e.Remedy(p, m, 1); !try || err != nil || !strings.Contains(reason, "depends on step look") {
		t.Errorf("in a dry run: %v, %q, %v", try, reason, err)
	}
}

// What an earlier remedy's failed step leaves behind does not decide whether the
// next one is tried.
func TestAFailureDoesNotEndTheChain(t *testing.T) {
	p, e := chained(t, "orders")
	m := seen()
	m.Failed = []string{"end"}
	p.Document.Remedies[1].If = "params.n == 3"
	if try, reason, err := e.Remedy(p, m, 1); !try || reason != "" || err != nil {
		t.Errorf("%v, %q, %v", try, reason, err)
	}
}
