package webhook_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
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

// run is the one for an alert.
func (d *desk) run(a map[string]any) runs.Row {
	d.t.Helper()
	labels := model.LabelSet{}
	for name, value := range a["labels"].(map[string]string) {
		labels[model.LabelName(name)] = model.LabelValue(value)
	}
	episode := runbooks.Alert{Fingerprint: labels.Fingerprint().String(), StartsAt: a["startsAt"].(time.Time).Truncate(time.Millisecond)}
	name := strings.ToLower(string(labels["alertname"]))
	row, err := d.options.Runs.Find(d.t.Context(), runbooks.RunID(name, episode.Episode()))
	if err != nil {
		d.t.Fatal(err)
	}
	return row
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
	id := runbooks.WorkflowID(d.run(first).ID)
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

func TestAFiringAfterTheRunBeforeHasEndedIsANewOne(t *testing.T) {
	d := newDesk(t, nil)
	first := with(alert("Flaps"), "startsAt", time.Now().Add(-time.Minute))
	d.tell(http.StatusOK, first)
	d.tell(http.StatusOK, with(later(first, 0), "status", "resolved"))
	if err := dial(t, server).TerminateWorkflow(t.Context(), runbooks.WorkflowID(d.run(first).ID), "", "test"); err != nil {
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
	id := d.run(acts).ID
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
		if got := d.run(acts).Actor; got != want {
			t.Errorf("the actor for %q is %q", name, got)
		}
		d.inAudit(fmt.Sprintf(`"actor":%q`, want))
	}
}
