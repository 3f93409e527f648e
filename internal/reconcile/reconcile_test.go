package reconcile_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/reconcile"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

func TestMissedAlertsAreActedOnOnce(t *testing.T) {
	d := newDesk(t, nil)
	missed := d.alert("missed")
	d.raise(missed)
	d.raise(func() *models.PostableAlert {
		young := d.alert("young")
		young.StartsAt = strfmt.DateTime(time.Now())
		return young
	}())
	d.look()
	d.look()
	d.has(map[string][]string{"missed": {}})
	if started, received := d.counted("runbook_reconciled_alerts_total", "started"), d.counted("runbook_reconciled_alerts_total", "received"); started != 1 || received != 1 {
		t.Errorf("%d started of %d", started, received)
	}
	// The message that comes at last finds the run there.
	d.tell(missed, "")
	if got := d.counted("runbook_webhook_alerts_total", "duplicate"); got != 1 {
		t.Errorf("%d duplicates", got)
	}
	d.restart()
	d.look()
	if got := d.counted("runbook_reconciled_alerts_total", "duplicate"); got != 1 {
		t.Errorf("after a restart: %d duplicates", got)
	}
	d.has(map[string][]string{"missed": {}})
}

func TestItLooksAgainUntilItCan(t *testing.T) {
	d := newDesk(t, func(o *reconcile.Options) { o.Every = 50 * time.Millisecond })
	d.raise(d.alert("1"))
	ctx, stop := context.WithCancel(t.Context())
	ended, asked := make(chan struct{}), 0
	go func() {
		defer close(ended)
		d.reconciler.Run(ctx, func() error {
			if asked++; asked < 3 {
				return fmt.Errorf("temporal does not answer")
			}
			return nil
		})
	}()
	d.has(map[string][]string{"1": {}})
	d.raise(d.alert("2"))
	d.has(map[string][]string{"1": {}, "2": {}})
	stop()
	<-ended
}

func TestAlertsOfOtherReceiversAndMutedOnesAreLeftAlone(t *testing.T) {
	d := newDesk(t, func(o *reconcile.Options) { o.Receivers = "" })
	d.raise(d.alert("1"))
	d.look()
	d.has(map[string][]string{})
	// A message tells which receiver stands for the engine.
	other := d.alert("2")
	d.tell(other, "")
	d.mute("1")
	d.raise(d.alert("3"))
	d.look()
	d.has(map[string][]string{"2": {}, "3": {}})
}

func (d *desk) mute(serial string) {
	d.t.Helper()
	name, yes, no, text := "serial", true, false, "test"
	starts, ends := strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(time.Hour))
	_, err := d.api.PostSilence(d.t.Context(), models.Silence{
		Matchers: models.Matchers{{Name: &name, Value: &serial, IsEqual: &yes, IsRegex: &no}},
		Comment:  &text, CreatedBy: &text, StartsAt: &starts, EndsAt: &ends,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.eventually("the silence", func() error {
		left, err := d.api.Alerts(d.t.Context(), alertmanagerapi.Filter{Matchers: []string{`serial="` + serial + `"`}, Active: true})
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("the alert is active")
		}
		return err
	})
}

func TestARunWhoseAlertIsGoneIsTold(t *testing.T) {
	d := newDesk(t, nil)
	over, held := d.alert("over"), d.alert("held")
	d.raise(over)
	d.raise(held)
	d.look()
	d.has(map[string][]string{"over": {}, "held": {}})
	d.mute("held") // as a run does that holds the page
	d.settle(over)
	d.look()
	d.has(map[string][]string{"over": {}, "held": {}})
	d.look()
	d.has(map[string][]string{"over": {"resolved"}, "held": {}})
	d.look()
	d.look()
	d.has(map[string][]string{"over": {"resolved"}, "held": {}})
	if got := d.counted("runbook_reconciled_alerts_total", "gone"); got != 1 {
		t.Errorf("%d are counted as gone", got)
	}
	if text, err := os.ReadFile(d.audit); err != nil || !strings.Contains(string(text), `"decision":"gone"`) {
		t.Errorf("the audit file has %s, %v", text, err)
	}
	// What was told late is stale.
	d.tell(over, "")
	if got := d.counted("runbook_webhook_alerts_total", "stale"); got != 1 {
		t.Errorf("%d are stale", got)
	}
}

func TestAPageWhoseAlertIsGoneIsTold(t *testing.T) {
	d := newDesk(t, nil)
	a := d.alert("1")
	d.raise(a)
	d.look()
	var id string
	d.eventually("the run", func() error {
		rows, err := d.options.Runs.List(t.Context(), runs.Filter{Limit: 1})
		if err == nil && (len(rows) == 0 || !slices.Contains(keys(d.runs()), "1")) {
			return fmt.Errorf("it is not listed")
		}
		id = rows[0].ID
		return err
	})
	page := workflows.PageID(id)
	if _, err := d.temporal.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: page, TaskQueue: "nobody"}, workflows.PageType, workflows.Page{ID: id}); err != nil {
		t.Fatal(err)
	}
	if err := d.temporal.TerminateWorkflow(t.Context(), runbooks.WorkflowID(id), "", "the run has ended"); err != nil {
		t.Fatal(err)
	}
	d.eventually("the page to be listed", func() error {
		open, err := d.options.Runs.OpenPages(t.Context())
		if err == nil && !slices.Contains(open, id) {
			err = fmt.Errorf("it is not among %v", open)
		}
		return err
	})
	d.settle(a)
	d.look()
	d.look()
	if got := d.signals(page); !slices.Equal(got, []string{"resolved"}) {
		t.Errorf("the page was told %v", got)
	}
}

func keys(m map[string][]string) (all []string) {
	for key := range m {
		all = append(all, key)
	}
	return all
}

// What any of several Alertmanagers has is missed, of one alert the earliest
// start counts, and it is over when none of them has it.
func TestSeveralAlertmanagersAreOne(t *testing.T) {
	other := open(t, startAlertmanager(t).URL)
	d := newDesk(t, func(o *reconcile.Options) {
		o.Alertmanagers = append(o.Alertmanagers, alertmanagerapi.Peer{Client: other, Name: "other"})
	})
	late, early, there := d.alert("both"), d.alert("both"), d.alert("there")
	late.StartsAt = strfmt.DateTime(minuteAgo.Add(30 * time.Second))
	d.raise(late)
	d.raiseIn(other, early)
	d.raiseIn(other, there)
	d.look()
	d.has(map[string][]string{"both": {}, "there": {}})
	d.tell(early, "")
	if got := d.counted("runbook_webhook_alerts_total", "duplicate"); got != 1 {
		t.Errorf("the run is not that of the earliest start: %d duplicates", got)
	}
	d.settle(late)
	for range 3 {
		d.look()
	}
	d.has(map[string][]string{"both": {}, "there": {}})
}

// Nothing is taken as over on the word of one that can not know.
func TestDoubtEndsNothing(t *testing.T) {
	away := httptest.NewServer(nil)
	away.Close()
	for name, change := range map[string]func(*reconcile.Options){
		"one does not answer": func(o *reconcile.Options) {
			o.Alertmanagers = append(o.Alertmanagers, alertmanagerapi.Peer{Client: open(t, away.URL), Name: "away"})
		},
		"it was just started": func(o *reconcile.Options) { o.Settled = time.Hour },
		"the run is fresh":    func(o *reconcile.Options) { o.Fresh = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, change)
			a := d.alert("1")
			d.raise(a)
			failed := d.reconciler.Look(t.Context()) != nil
			d.has(map[string][]string{"1": {}})
			d.settle(a)
			for range 3 {
				if err := d.reconciler.Look(t.Context()); (err != nil) != failed {
					t.Error(err)
				}
			}
			d.has(map[string][]string{"1": {}})
		})
	}
}

// After a restart the origin of a message tells whether our Alertmanagers would
// list its alert.
func TestOnlyTheAlertsOfOurAlertmanagersCanBeGone(t *testing.T) {
	d := newDesk(t, nil)
	ours, elsewhere, stays := d.alert("ours"), d.alert("elsewhere"), d.alert("stays")
	d.raise(stays)
	d.tell(stays, "http://am.example")
	d.tell(ours, "http://am.example")
	d.tell(elsewhere, "http://other.example")
	d.has(map[string][]string{"ours": {}, "elsewhere": {}, "stays": {}})
	d.restart()
	for range 4 {
		d.look()
	}
	d.has(map[string][]string{"ours": {"resolved"}, "elsewhere": {}, "stays": {}})
}

// One alert that both a message and our Alertmanager tell of is enough to know
// from where its messages come.
func TestTheOriginOfMessagesIsLearned(t *testing.T) {
	d := newDesk(t, nil)
	shared, brief, elsewhere := d.alert("shared"), d.alert("brief"), d.alert("elsewhere")
	d.raise(shared)
	d.tell(shared, "http://learned.example")
	d.has(map[string][]string{"shared": {}})
	rows, err := d.options.Runs.List(t.Context(), runs.Filter{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.temporal.TerminateWorkflow(t.Context(), runbooks.WorkflowID(rows[0].ID), "", "the run has ended"); err != nil {
		t.Fatal(err)
	}
	d.tell(brief, "http://learned.example")
	d.tell(elsewhere, "http://elsewhere.example")
	d.has(map[string][]string{"shared": {}, "brief": {}, "elsewhere": {}})
	for range 3 {
		d.look()
	}
	d.has(map[string][]string{"shared": {}, "brief": {"resolved"}, "elsewhere": {}})
}
