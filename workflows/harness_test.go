package workflows_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// One server serves all tests of the package; each test has a worker and a task
// queue of its own.
var server *temporalserver.Server

// people hear what the runs of all tests tell them; the label episode says which
// run it was.
var people *alertmanagerapi.Client

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "6") // most of the time they wait; -parallel goes before
	os.Exit(temporaltest.Main(m, besidePeople))
}

func besidePeople(s *temporalserver.Server, dir string) (end func(), err error) {
	server = s
	alertmanager, err := lab.StartAlertmanager(context.Background(), filepath.Join(dir, "alertmanager"), lab.AlertmanagerOptions{
		Webhook: lab.Webhook{URL: "http://127.0.0.1:9/nobody"},
	})
	if err != nil {
		return nil, err
	}
	if people, err = alertmanagerapi.Open(alertmanagerapi.Config{URL: alertmanager.URL}); err != nil {
		return nil, errors.Join(err, alertmanager.Kill())
	}
	return func() {
		people.Close()
		_ = alertmanager.Kill()
	}, nil
}

// bench is an engine without its outer parts: a worker over a house.
type bench struct {
	t             testing.TB
	house         *house
	catalog       *actions.Catalog
	client        client.Client
	runs          *runs.Service
	hub           *runs.Hub
	queue         string
	windows       []string
	halted        atomic.Value // string
	level         runbooks.Level
	audit         *audit.Log
	firing        func() (bool, error)
	engine        runbooks.EngineGuards
	ledger        workflows.Ledger
	worker        worker.Worker
	deaf          bool     // people can not be told
	started       []string // episodes
	alertmanagers []string
	drill         string // whose alert it is
}

var benches atomic.Int64

func newBench(t testing.TB, lamps ...string) *bench {
	t.Helper()
	b := &bench{t: t, house: newHouse(lamps...), hub: runs.NewHub(), queue: fmt.Sprintf("%s-%d", t.Name(), benches.Add(1))}
	b.catalog = actions.NewCatalog(b.house.system())
	c := temporaltest.Dial(t, server)
	b.client = c
	b.runs = runs.New(c, b.hub, b.queue)
	b.work()
	t.Cleanup(func() { b.worker.Stop() })
	return b
}

func (b *bench) work() {
	options := workflows.WorkerOptions(b.t.Context())
	// The first task that is kept for a new worker, or an old one, may find nobody.
	options.StickyScheduleToStartTimeout = 500 * time.Millisecond
	b.worker = worker.New(b.client, b.queue, options)
	workflows.Register(b.worker, &workflows.Activities{
		Catalog: b.catalog, Evaluator: runbooks.NewEvaluator(b.catalog), Changed: b.hub.Changed,
		Windows:       func(time.Time) []string { return b.windows },
		Audit:         b.audit,
		Guards:        b.engine,
		Alertmanagers: b.alertmanagers,
		Link:          "http://runbook.example/",
		Tries:         func(string, map[string]string) string { return b.drill },
		Ledger:        b.ledger,
		Halted:        func() string { reason, _ := b.halted.Load().(string); return reason },
		Autonomy: func(_ context.Context, p *runbooks.Plan, _ runbooks.Moment) (runbooks.Level, []string, error) {
			if b.level == "" {
				return p.Document.Autonomy.Level, nil, nil
			}
			return b.level, []string{"the test says so"}, nil
		},
		Firing: func(context.Context, *runbooks.Alert) (bool, error) {
			if b.firing == nil {
				return true, nil
			}
			return b.firing()
		},
	})
	pages := &workflows.Pages{Alertmanagers: alertmanagerapi.Peers{{Client: people, Name: "people"}}}
	if b.deaf {
		pages.Alertmanagers = nil
	}
	workflows.RegisterPages(b.worker, pages)
	workflows.RegisterLedger(b.worker)
	if err := b.worker.Start(); err != nil {
		b.t.Fatal(err)
	}
}

// plan loads a document and makes a plan of it as for an alert.
func (b *bench) plan(doc string) runbooks.Plan {
	b.t.Helper()
	return b.planOf(b.load(doc))
}

func (b *bench) planOf(rb *runbooks.Runbook) runbooks.Plan {
	return rb.ForAlert(runbooks.Alert{
		Status: "firing", Labels: map[string]string{"alertname": "Dark", "room": "hall", "severity": "critical"},
		StartsAt: time.Now(), Fingerprint: fmt.Sprintf("%016x", time.Now().UnixNano()),
	})
}

func (b *bench) load(doc string) *runbooks.Runbook {
	b.t.Helper()
	set, problems := runbooks.Load(diag.Sources{"test.yaml": []byte(doc)}, runbooks.Options{Catalog: b.catalog})
	if err := problems.Err(); err != nil {
		b.t.Fatal(err)
	}
	return set.All()[0]
}

func (b *bench) start(p runbooks.Plan) string {
	b.t.Helper()
	started, err := b.runs.Start(b.t.Context(), p)
	if err != nil || !started {
		b.t.Fatalf("start: %v, %v", started, err)
	}
	b.started = append(b.started, p.Episode)
	return p.RunID()
}

func (b *bench) wait(id string) run.Run {
	b.t.Helper()
	return b.until(id, func(r run.Run) bool { return r.Status == run.Ended })
}

// until follows a run until something is true of it.
func (b *bench) until(id string, reached func(run.Run) bool) run.Run {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	var last run.Run
	err := b.runs.Watch(ctx, id, func(r run.Run) error {
		last = r
		if reached(r) {
			cancel()
		}
		return nil
	})
	if !reached(last) {
		b.t.Fatalf("run %s: %v; last seen: %s", id, err, describe(last))
	}
	return last
}

// do runs a document to its end.
func (b *bench) do(doc string) run.Run {
	b.t.Helper()
	return b.wait(b.start(b.plan(doc)))
}

func (b *bench) expect(r run.Run, outcome run.Outcome, effects ...string) {
	b.t.Helper()
	if r.Outcome != outcome {
		b.t.Errorf("outcome %s, want %s: %s", r.Outcome, outcome, describe(r))
	}
	if got := strings.Join(b.house.log(), ", "); got != strings.Join(effects, ", ") {
		b.t.Errorf("effects %q, want %q: %s", got, effects, describe(r))
	}
}

func (b *bench) expectStep(r run.Run, id string, outcome run.Outcome, reason string) {
	b.t.Helper()
	for _, s := range r.Steps {
		if s.ID != id {
			continue
		}
		if s.Outcome != outcome || !strings.Contains(s.Reason, reason) {
			b.t.Errorf("step %s: %s (%s), want %s (…%s…)", id, s.Outcome, s.Reason, outcome, reason)
		}
		return
	}
	b.t.Errorf("no step %s", id)
}

func describe(r run.Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (%s)", r.Status, r.Outcome, r.OutcomeReason)
	for _, e := range r.Events {
		fmt.Fprintf(&b, "\n  %s %s", e.At.Format("15:04:05.000"), e.Text)
	}
	return b.String()
}

// told are the alerts of a name by which the runs of this test call people now.
func (b *bench) told(name string) (found []*models.GettableAlert) {
	b.t.Helper()
	all, err := people.Alerts(b.t.Context(), alertmanagerapi.Filter{Matchers: []string{"alertname=" + name}, Active: true})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, a := range all {
		if slices.Contains(b.started, a.Labels["episode"]) {
			found = append(found, a)
		}
	}
	return found
}

func listFilter(name string) runs.Filter { return runs.Filter{Runbook: name, Limit: 100} }
