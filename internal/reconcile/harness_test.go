package reconcile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/wait"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/internal/reconcile"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
)

// One server keeps the runs of all tests. No worker carries them out: each stays
// under way.
var server *temporalserver.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Main(m, temporaltest.Keep(&server))) }

const books = `
runbook: acts
summary: Act.
triggers: [{alert: Acts}]
autonomy: auto
steps: [{id: pause, do: wait, with: {duration: 1s}}]
verify: {do: wait, with: {duration: 1s}, until: duration >= duration("0s")}
`

// desk is a reconciler with what is around it, and an Alertmanager whose
// messages go nowhere.
type desk struct {
	t            *testing.T
	alertmanager *lab.Alertmanager
	api          *alertmanagerapi.Client
	temporal     client.Client
	options      reconcile.Options
	reconciler   *reconcile.Reconciler
	receiver     *httptest.Server
	audit        string
	name         string // of this test, in a label of its alerts
}

func newDesk(t *testing.T, change func(*reconcile.Options)) *desk {
	t.Helper()
	d := &desk{t: t, audit: filepath.Join(t.TempDir(), "audit.jsonl"), name: fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano())}
	d.alertmanager = startAlertmanager(t)
	d.api = open(t, d.alertmanager.URL)
	d.temporal = temporaltest.Dial(t, server)
	d.options = reconcile.Options{
		Alertmanagers: alertmanagerapi.Peers{{Client: d.api, Name: "am"}}, Set: load(t), Metrics: metrics.New("test"),
		Runs: runs.New(d.temporal, runs.NewHub(), "nobody"), Log: slog.New(slog.DiscardHandler), Receivers: "web.*",
		Every: time.Second, Young: 10 * time.Second, Fresh: time.Nanosecond, Settled: time.Nanosecond,
	}
	if change != nil {
		change(&d.options)
	}
	d.restart()
	return d
}

func startAlertmanager(t *testing.T) *lab.Alertmanager {
	t.Helper()
	a, err := lab.StartAlertmanager(t.Context(), t.TempDir(), lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: "http://127.0.0.1:9/nobody"}, GroupBy: []string{"..."}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// restart forgets all that the engine keeps in memory.
func (d *desk) restart() {
	d.t.Helper()
	record, err := audit.Open(d.audit)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { record.Close() })
	d.options.Receiver = webhook.New(webhook.Options{
		Set: d.options.Set, Runs: d.options.Runs, Ready: func() error { return nil }, Metrics: d.options.Metrics, Audit: record,
		Log: d.options.Log, MaxBody: 1 << 20, Wait: 10 * time.Second,
	})
	d.reconciler = reconcile.New(d.options)
	mux := http.NewServeMux()
	mux.Handle("POST /", d.options.Receiver)
	mux.Handle("GET /metrics", d.options.Metrics.Handler())
	d.receiver = httptest.NewServer(mux)
	d.t.Cleanup(d.receiver.Close)
}

func open(t *testing.T, url string) *alertmanagerapi.Client {
	t.Helper()
	c, err := alertmanagerapi.Open(alertmanagerapi.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func load(t *testing.T) func() *runbooks.Set {
	t.Helper()
	set, problems := runbooks.Load(diag.Sources{"books.yaml": []byte(books)}, runbooks.Options{Catalog: actions.NewCatalog(wait.System(nil))})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return func() *runbooks.Set { return set }
}

var minuteAgo = time.Now().Add(-time.Minute).Truncate(time.Millisecond)

func (d *desk) alert(serial string) *models.PostableAlert {
	return &models.PostableAlert{
		Alert:    models.Alert{Labels: models.LabelSet{"alertname": "Acts", "test": d.name, "serial": serial}},
		StartsAt: strfmt.DateTime(minuteAgo), EndsAt: strfmt.DateTime(time.Now().Add(time.Hour)),
	}
}

// raise posts an alert, and waits until Alertmanager has it in a group.
func (d *desk) raise(a *models.PostableAlert) {
	d.t.Helper()
	d.raiseIn(d.api, a)
}

func (d *desk) raiseIn(c *alertmanagerapi.Client, a *models.PostableAlert) {
	d.t.Helper()
	if err := c.PostAlert(d.t.Context(), a); err != nil {
		d.t.Fatal(err)
	}
	d.eventually("the alert to be grouped", func() error {
		groups, err := c.Firing(d.t.Context(), "", []string{`serial="` + a.Labels["serial"] + `"`})
		if err == nil && len(groups) == 0 {
			err = fmt.Errorf("no group has it")
		}
		return err
	})
}

func (d *desk) settle(a *models.PostableAlert) {
	d.t.Helper()
	if err := d.api.Resolve(d.t.Context(), a, time.Now()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) look() {
	d.t.Helper()
	if err := d.reconciler.Look(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
}

// tell posts an alert as a message of an Alertmanager does.
func (d *desk) tell(a *models.PostableAlert, externalURL string) {
	d.t.Helper()
	body, err := json.Marshal(map[string]any{"version": "4", "receiver": "webhook", "externalURL": externalURL, "alerts": []any{map[string]any{
		"status": "firing", "labels": a.Labels, "startsAt": a.StartsAt, "endsAt": "0001-01-01T00:00:00Z",
	}}})
	if err != nil {
		d.t.Fatal(err)
	}
	response, err := http.Post(d.receiver.URL, "application/json", bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("answered %s", response.Status)
	}
}

// runs are those of this test, by the serial of their alert: what they were told.
func (d *desk) runs() map[string][]string {
	d.t.Helper()
	rows, err := d.options.Runs.List(d.t.Context(), runs.Filter{Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	found := map[string][]string{}
	for _, row := range rows {
		plan, err := d.options.Runs.Plan(d.t.Context(), row.ID)
		if err != nil {
			d.t.Fatal(err)
		}
		if plan.Alert.Labels["test"] == d.name {
			found[plan.Alert.Labels["serial"]] = d.signals(runbooks.WorkflowID(row.ID))
		}
	}
	return found
}

func (d *desk) signals(workflowID string) []string {
	d.t.Helper()
	names := []string{}
	history := d.temporal.GetWorkflowHistory(d.t.Context(), workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			d.t.Fatal(err)
		}
		if signal := event.GetWorkflowExecutionSignaledEventAttributes(); signal != nil {
			names = append(names, signal.SignalName)
		}
	}
	return names
}

// has waits until the lists know the runs and what they were told.
func (d *desk) has(want map[string][]string) {
	d.t.Helper()
	d.eventually(fmt.Sprintf("runs %v", want), func() error {
		if got := d.runs(); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("there are %v", got)
		}
		return nil
	})
}

func (d *desk) eventually(what string, check func() error) {
	d.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			d.t.Fatalf("waited 20s for %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// counted is what Prometheus is told of one counter.
func (d *desk) counted(name, decision string) (n int) {
	d.t.Helper()
	response, err := http.Get(d.receiver.URL + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, fmt.Sprintf("%s{decision=%q} ", name, decision)); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				d.t.Fatal(err)
			}
		}
	}
	return n
}
