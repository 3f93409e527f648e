package drills_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// What fires before a drill can not be told from what the drill makes fire.
func TestWhatFiresAlreadyKeepsADrillFromBeginning(t *testing.T) {
	for name, c := range map[string]struct {
		labels  map[string]string
		control gameday.ControlRun
		ready   bool
		pending string // name of an alert that is
		mute    error  // Prometheus does not answer
	}{
		"nothing":                        {ready: true},
		"the expected alert":             {labels: map[string]string{"alertname": "PoolExhausted", "env": "prod"}},
		"a real one":                     {labels: map[string]string{"alertname": "DiskFull", "env": "prod"}},
		"one out of scope":               {labels: map[string]string{"alertname": "DiskFull", "env": "test"}, ready: true},
		"one that must stay silent":      {labels: map[string]string{"alertname": "Slow", "env": "test", "severity": "page"}},
		"a page of the engine":           {labels: map[string]string{"alertname": "RunbookEscalation", "raised_by": "runbook", "severity": "page"}},
		"the expected alert, soon":       {pending: "PoolExhausted"},
		"another alert, soon":            {pending: "DiskFull", ready: true},
		"no answer of Prometheus":        {mute: errors.New("no route"), ready: true},
		"a page, which no_remedy allows": {labels: map[string]string{"alertname": "Slow", "env": "test", "severity": "page"}, control: gameday.NoRemedy, ready: true},
	} {
		p := plan()
		p.Faults, p.Control, p.Expect.Silent = nil, c.control, []string{`severity="page"`}
		a := &drills.Activities{
			Faults: chaos.NewCatalog(), Halted: func() string { return "" },
			Alerts: func(context.Context) (all []gameday.Alert, err error) {
				if c.labels != nil {
					all = []gameday.Alert{{Fingerprint: "f9", Labels: c.labels}}
				}
				return all, nil
			},
			Pending: func(context.Context) ([]map[string]string, error) {
				return []map[string]string{{"alertname": c.pending, "env": "prod"}}, c.mute
			},
		}
		for _, check := range a.Survey(t.Context(), "pool.1", p).Checks {
			if check.Name == gameday.CheckAlerts && (check.Passed() != c.ready || !c.ready && !strings.Contains(check.Text, c.labels["alertname"]+c.pending)) {
				t.Errorf("%s: %+v", name, check)
			}
		}
	}
}
