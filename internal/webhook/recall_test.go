package webhook_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
)

func shared(o *webhook.Options) { o.Shared = true }

// listed waits until Temporal lists the run of an alert: a moment after it is
// there.
func (d *desk) listed(a map[string]any) {
	d.t.Helper()
	id := d.run(a).ID
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		rows, err := d.options.Runs.List(d.t.Context(), runs.Filter{Limit: 100})
		if err != nil {
			d.t.Fatal(err)
		}
		if slices.ContainsFunc(rows, func(r runs.Row) bool { return r.ID == id }) {
			return
		}
	}
	d.t.Fatalf("%s is not listed", id)
}

// Several engines hear of one alert, each of another part of it.
func TestALateFiringIsKnownToEachOfSeveralEngines(t *testing.T) {
	one, other := newDesk(t, shared), newDesk(t, shared)
	old := with(alert("Acts"), "startsAt", time.Now().Add(-time.Minute))
	one.tell(http.StatusOK, later(old, 10*time.Second))
	one.listed(later(old, 10*time.Second))
	other.tell(http.StatusOK, old)
	other.decided(map[string]int{"received": 1, "stale": 1})
	// The alert itself is nobody's more than the others'.
	other.tell(http.StatusOK, later(old, 10*time.Second))
	other.tell(http.StatusOK, later(old, 20*time.Second))
	other.decided(map[string]int{"received": 3, "matched": 2, "stale": 1, "duplicate": 1, "started": 1})
}

func TestAnAlertThatFlapsIsOneForSeveralEngines(t *testing.T) {
	one, other := newDesk(t, shared), newDesk(t, shared)
	first := with(alert("Flaps"), "startsAt", time.Now().Add(-time.Minute))
	one.tell(http.StatusOK, first)
	one.listed(first)
	other.tell(http.StatusOK, later(first, 10*time.Second))
	other.decided(map[string]int{"received": 1, "matched": 1, "flapping": 1})
	if got := signals(t, runbooks.WorkflowID(one.run(first).ID)); !slices.Equal(got, []string{"firing"}) {
		t.Errorf("the run was told %v", got)
	}
}
