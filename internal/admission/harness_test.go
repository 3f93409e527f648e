package admission_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// One server serves all tests of the package, one after the other: a namespace
// has one ledger.
var server *temporalserver.Server

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	os.Exit(temporaltest.Main(m, temporaltest.Keep(&server)))
}

// desk is a ledger on the server, kept by a worker of this process.
type desk struct {
	t        testing.TB
	temporal client.Client
	queue    string
	worker   worker.Worker
	limits   ledger.Limits
	*admission.Client
}

func quiet(o client.Options) client.Options {
	o.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	return o
}

// newDesk replaces the ledger of the test before. Updates is how many an
// execution takes; zero for as many as usual.
func newDesk(t testing.TB, limits ledger.Limits, updates int) *desk {
	t.Helper()
	c := temporaltest.Dial(t, server)
	d := &desk{t: t, temporal: c, queue: fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano()), limits: limits}
	d.Client = d.another(c)
	d.end()
	d.work()
	t.Cleanup(func() {
		d.end()
		d.worker.Stop()
	})
	if _, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.LedgerID, TaskQueue: d.queue, WorkflowTaskTimeout: time.Second},
		workflows.LedgerType, workflows.LedgerState{Updates: updates}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) another(c client.Client) *admission.Client {
	return admission.New(c, d.queue, func() ledger.Limits { return d.limits })
}

func (d *desk) end() {
	err := d.temporal.TerminateWorkflow(context.Background(), workflows.LedgerID, "", "the test is over")
	if _, gone := err.(*serviceerror.NotFound); err != nil && !gone {
		d.t.Error(err)
	}
}

func (d *desk) work() {
	d.t.Helper()
	d.worker = worker.New(d.temporal, d.queue, worker.Options{})
	workflows.RegisterLedger(d.worker)
	d.worker.RegisterWorkflowWithOptions(listen, workflow.RegisterOptions{Name: "listen"})
	if err := d.worker.Start(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) do(op ledger.Op) ledger.Answer {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := d.Apply(ctx, op)
	if err != nil {
		d.t.Fatal(err)
	}
	return answer
}

func (d *desk) admit(run, resource string) ledger.Answer {
	d.t.Helper()
	return d.do(admit(run, resource))
}

func admit(run, resource string) ledger.Op {
	return ledger.Op{Admit: &ledger.Admit{Run: run, Runbook: "heal", Source: "exec", Resource: resource}}
}

func (d *desk) release(run string) {
	d.t.Helper()
	d.do(ledger.Op{Release: &ledger.Release{Run: run, Acted: true}})
}

// is checks an answer.
func (d *desk) is(a ledger.Answer, s ledger.State, g ledger.Guard) {
	d.t.Helper()
	if a.State != s || a.Guard != g {
		d.t.Fatalf("%s by %q (%s), want %s by %q", a.State, a.Guard, a.Reason, s, g)
	}
}

// heard are the signals that a run's workflow gets.
type heard struct {
	Turns []ledger.Answer
	Stops []workflows.CancelRequest
}

// listen stands for the workflow of a run.
func listen(ctx workflow.Context) error {
	var h heard
	if err := workflow.SetQueryHandler(ctx, "heard", func() (heard, error) { return h, nil }); err != nil {
		return err
	}
	for {
		s := workflow.NewSelector(ctx)
		s.AddReceive(workflow.GetSignalChannel(ctx, workflows.SignalAdmitted), func(c workflow.ReceiveChannel, _ bool) {
			var a ledger.Answer
			c.Receive(ctx, &a)
			h.Turns = append(h.Turns, a)
		})
		s.AddReceive(workflow.GetSignalChannel(ctx, workflows.SignalCancel), func(c workflow.ReceiveChannel, _ bool) {
			var r workflows.CancelRequest
			c.Receive(ctx, &r)
			h.Stops = append(h.Stops, r)
		})
		s.Select(ctx)
	}
}

func (d *desk) run(id string) {
	d.t.Helper()
	_, err := d.temporal.ExecuteWorkflow(d.t.Context(), client.StartWorkflowOptions{ID: runbooks.WorkflowID(id), TaskQueue: d.queue}, "listen")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = d.temporal.TerminateWorkflow(context.Background(), runbooks.WorkflowID(id), "", "") })
}

func (d *desk) heard(id string) heard {
	d.t.Helper()
	value, err := d.temporal.QueryWorkflow(d.t.Context(), runbooks.WorkflowID(id), "", "heard")
	if err != nil {
		d.t.Fatal(err)
	}
	var h heard
	if err := value.Get(&h); err != nil {
		d.t.Fatal(err)
	}
	return h
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

func lease(d time.Duration) ledger.Limits { return ledger.Limits{Lease: model.Duration(d)} }

// together runs f n times at once.
func together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
