package webhook_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// signals are those that a workflow has got, in order.
func signals(t *testing.T, workflowID string) (names []string) {
	t.Helper()
	history := dial(t, server).GetWorkflowHistory(t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			t.Fatal(err)
		}
		if signal := event.GetWorkflowExecutionSignaledEventAttributes(); signal != nil {
			names = append(names, signal.SignalName)
		}
	}
	return names
}

// rows are the runs for one alert, oldest first.
func (d *desk) rows(a map[string]any) (rows []runs.Row) {
	d.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for len(rows) == 0 && time.Now().Before(deadline) {
		all, err := d.options.Runs.List(d.t.Context(), runs.Filter{Limit: 10_000})
		if err != nil {
			d.t.Fatal(err)
		}
		fingerprint := (&runbooks.Alert{Labels: a["labels"].(map[string]string)}).Labels["serial"]
		for _, row := range all {
			plan, err := d.options.Runs.Plan(d.t.Context(), row.ID)
			if err != nil {
				d.t.Fatal(err)
			}
			if plan.Alert != nil && plan.Alert.Labels["serial"] == fingerprint {
				rows = append([]runs.Row{row}, rows...)
			}
		}
	}
	return rows
}

func later(a map[string]any, by time.Duration) map[string]any {
	return with(a, "startsAt", a["startsAt"].(time.Time).Add(by), "endsAt", a["startsAt"].(time.Time).Add(by+time.Second))
}

func TestAFiringWithinHealthyDelayBelongsToTheRunBefore(t *testing.T) {
	d := newDesk(t, nil)
	first := with(alert("Flaps"), "startsAt", time.Now().Add(-time.Minute))
	second := later(first, 10*time.Second)
	third := later(first, 20*time.Second)
	d.tell(http.StatusOK, first)
	id := workflowOf(d.rows(first)[0].ID)
	d.tell(http.StatusOK, with(later(first, 0), "status", "resolved"))
	d.tell(http.StatusOK, second)
	d.tell(http.StatusOK, second)
	d.decided(map[string]int{"received": 4, "matched": 3, "started": 1, "resolved": 1, "flapping": 2})
	if got := signals(t, id); !slices.Equal(got, []string{"resolved", "firing", "firing"}) {
		t.Errorf("the run was told %v", got)
	}
	d.tell(http.StatusOK, with(second, "status", "resolved"))
	d.tell(http.StatusOK, third)
	if got := signals(t, id); !slices.Equal(got, []string{"resolved", "firing", "firing", "resolved", "firing"}) {
		t.Errorf("the run was told %v", got)
	}
	d.recorded("flapping Flaps flaps", "flapping Flaps flaps", "flapping Flaps flaps")
	d.tell(http.StatusOK, with(third, "status", "resolved"))
	// Long after, it is a matter of its own.
	d.tell(http.StatusOK, later(first, time.Hour))
	d.decided(map[string]int{"received": 8, "matched": 5, "started": 2, "resolved": 3, "flapping": 3})
}

func workflowOf(runID string) string { return runbooks.WorkflowID(runID) }

func TestAFiringAfterTheRunBeforeHasEndedIsANewOne(t *testing.T) {
	d := newDesk(t, nil)
	first := with(alert("Flaps"), "startsAt", time.Now().Add(-time.Minute))
	d.tell(http.StatusOK, first)
	d.tell(http.StatusOK, with(later(first, 0), "status", "resolved"))
	if err := dial(t, server).TerminateWorkflow(t.Context(), workflowOf(d.rows(first)[0].ID), "", "test"); err != nil {
		t.Fatal(err)
	}
	d.tell(http.StatusOK, later(first, 10*time.Second))
	d.decided(map[string]int{"received": 3, "matched": 2, "started": 2, "resolved": 1})
}

func TestWithoutHealthyDelayEachFiringIsANewOne(t *testing.T) {
	d := newDesk(t, nil)
	first := with(alert("Acts"), "startsAt", time.Now().Add(-time.Minute))
	d.tell(http.StatusOK, first)
	d.tell(http.StatusOK, with(later(first, 0), "status", "resolved"))
	d.tell(http.StatusOK, later(first, 2*time.Second))
	d.decided(map[string]int{"received": 3, "matched": 2, "started": 2, "resolved": 1})
}

func TestTheEndOfAnAlertEndsItsPage(t *testing.T) {
	d := newDesk(t, nil)
	acts := alert("Acts")
	d.tell(http.StatusOK, acts)
	id := d.rows(acts)[0].ID
	page := workflows.PageID(id)
	if _, err := dial(t, server).ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: page, TaskQueue: "nobody"}, workflows.PageType, workflows.Page{ID: id}); err != nil {
		t.Fatal(err)
	}
	d.tell(http.StatusOK, over(acts))
	if got := signals(t, page); !slices.Equal(got, []string{"resolved"}) {
		t.Errorf("the page was told %v", got)
	}
}

func TestAFullQueueShedsWhatWouldStart(t *testing.T) {
	full := false
	d := newDesk(t, func(o *webhook.Options) { o.Full = func() bool { return full } })
	acts := alert("Acts")
	d.tell(http.StatusOK, acts)
	full = true
	if text := d.tell(http.StatusServiceUnavailable, over(acts), alert("Acts"), alert("Nobody")); !strings.Contains(text, "the queue of runs is full") {
		t.Errorf("said %s", text)
	}
	d.decided(map[string]int{"received": 4, "matched": 2, "started": 1, "resolved": 1, "unmatched": 1, "shed": 1})
	if !strings.Contains(d.log.String(), "alerts are shed") {
		t.Errorf("logged %s", d.log)
	}
}

func TestTheActorIsWhoseCredentialsCame(t *testing.T) {
	for name, want := range map[string]string{"": "alertmanager", identity.Local: "alertmanager", "am-paris": "am-paris"} {
		d := newDesk(t, nil)
		acts := alert("Acts")
		d.as = name
		d.tell(http.StatusOK, acts, with(alert("Idle")))
		if got := d.rows(acts)[0].Actor; got != want {
			t.Errorf("the actor for %q is %q", name, got)
		}
		d.inAudit(fmt.Sprintf(`"actor":%q`, want))
	}
}
