package runbooks_test

import (
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
