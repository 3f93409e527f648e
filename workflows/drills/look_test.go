package drills_test

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/testsuite"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// A real alert that Alertmanager has, and that no route sends to the webhook, ends a
// look within a second; one that is muted does not.
func TestARealAlertEndsALook(t *testing.T) {
	for name, c := range map[string]struct {
		labels map[string]string
		muted  bool
		ends   bool
	}{
		"real":         {map[string]string{"alertname": "DiskFull", "env": "prod"}, false, true},
		"muted":        {map[string]string{"alertname": "DiskFull", "env": "prod"}, true, false},
		"expected":     {expected, false, false},
		"out of scope": {map[string]string{"alertname": "DiskFull", "env": "test"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			a := &drills.Activities{
				Faults: chaos.NewCatalog(), Halted: func() string { return "" },
				Alerts: func(context.Context) (all []gameday.Alert, err error) {
					if time.Since(began) > 100*time.Millisecond {
						all = []gameday.Alert{{Fingerprint: "f9", Labels: c.labels, Suppressed: c.muted}}
					}
					return all, nil
				},
				Runs: func(context.Context, time.Time) ([]gameday.Run, []gameday.Intervention, error) { return nil, nil, nil },
			}
			p := plan()
			p.Faults, p.Steady, p.Watch = nil, nil, model.Duration(time.Minute)
			env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
			env.RegisterActivity(a.Look)
			value, err := env.ExecuteActivity(a.Look, drills.Look{Task: drills.Task{ID: "pool.1", Plan: p}, Abort: true})
			took := time.Since(began)
			var s drills.Sight
			if err == nil {
				err = value.Get(&s)
			}
			if err != nil {
				t.Fatal(err)
			}
			if (len(s.Real) > 0) != c.ends || (s.Stop != nil) != c.ends || c.ends && (s.Stop.By != gameday.AbortAlert || took > time.Second) {
				t.Errorf("after %s: %+v, stop %+v", took, s, s.Stop)
			}
		})
	}
}
