package runbooks_test

import (
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// What a run says of a step is what conditions may compare with.
func TestOutcomesAreThoseOfRuns(t *testing.T) {
	problems := func(outcome run.Outcome) string {
		src := strings.Replace(`
runbook: a
summary: Look.
steps:
  - {id: look, do: prometheus.query, with: {query: up}}
  - {id: sure, do: prometheus.query, with: {query: up}, verify: {do: prometheus.query, with: {query: up}, until: value > 1}}
  - {id: wary, do: prometheus.query, with: {query: up}, verify: {do: prometheus.query, with: {query: up}, until: value > 1, worse: value < 0}}
  - id: last
    if: steps.look.outcome == "OUTCOME" or steps.sure.outcome == "OUTCOME" or steps.wary.outcome == "OUTCOME"
    do: prometheus.query
    with: {query: up}
`, "OUTCOME", string(outcome), 3)
		_, found := runbooks.Load(diag.Sources{"a": []byte(src)}, runbooks.Options{Catalog: testCatalog()})
		var codes []string
		for _, p := range found {
			codes = append(codes, p.Code)
		}
		return strings.Join(codes, " ")
	}
	for outcome, want := range map[run.Outcome]string{
		run.Done: "impossible-outcome impossible-outcome", run.Fixed: "impossible-outcome", run.NotFixed: "impossible-outcome",
		run.Worse:   "impossible-outcome impossible-outcome",
		run.Unknown: "", run.Failed: "", run.Skipped: "", run.Cancelled: "",
		"better": "unknown-outcome unknown-outcome unknown-outcome",
	} {
		if got := problems(outcome); got != want {
			t.Errorf("%s: %q, want %q", outcome, got, want)
		}
	}
}
