//go:build !noembedded

package temporalserver

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
)

func execute(tb testing.TB, c client.Client, id string, wf any, args ...any) {
	tb.Helper()
	options := client.StartWorkflowOptions{ID: id, TaskQueue: queue, EnableEagerStart: true}
	if _, err := c.ExecuteWorkflow(tb.Context(), options, wf, args...); err != nil {
		tb.Fatal(err)
	}
}

func count(ctx context.Context, c client.Client, query string) (int64, error) {
	resp, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
	return resp.GetCount(), err
}

func TestRestartKeepsHistory(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "missing")
	dir := filepath.Join(parent, "a b#c%20?d")
	first := start(t, Options{Dir: dir})
	c := dial(t, first)
	work(t, c)
	execute(t, c, "kept", oneActivity)
	finished(t, c, "kept")
	first.Stop()
	if places, err := os.ReadDir(parent); err != nil || len(places) != 1 {
		t.Errorf("the state is in %v (%v), want it in %s", places, err, dir)
	}

	second := dial(t, start(t, Options{Dir: dir}))
	finished(t, second, "kept")
	listed(t, second, `WorkflowId = "kept"`, 1)
	history := second.GetWorkflowHistory(t.Context(), "kept", "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	var completed bool
	for history.HasNext() {
		event, err := history.Next()
		if err != nil {
			t.Fatal(err)
		}
		completed = completed || event.EventType == enumspb.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
	}
	if !completed {
		t.Error("the history lost its activity")
	}
}

func TestOnlyWeCanReadTheState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	start(t, Options{Dir: dir})
	want := map[string]os.FileMode{"": 0o700, lockName: 0o600, runsFile: 0o600, runsFile + "-wal": 0o600, visibilityFile: 0o600}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %o, want %o", name, info.Mode().Perm(), mode)
		}
	}
}

func TestRetentionIsTheAuditPromise(t *testing.T) {
	same := t.TempDir()
	retention := func(o Options) time.Duration {
		s := start(t, o)
		defer s.Stop()
		desc, err := dial(t, s).WorkflowService().DescribeNamespace(t.Context(),
			&workflowservice.DescribeNamespaceRequest{Namespace: DefaultNamespace})
		if err != nil {
			t.Fatal(err)
		}
		return desc.Config.WorkflowExecutionRetentionTtl.AsDuration()
	}
	for _, c := range []struct {
		dir       string
		ask, want time.Duration
	}{
		{same, 0, 180 * 24 * time.Hour},
		{same, 400 * 24 * time.Hour, 400 * 24 * time.Hour},
		{same, 24 * time.Hour, 400 * 24 * time.Hour},
		{t.TempDir(), 2 * time.Hour, 2 * time.Hour},
	} {
		if got := retention(Options{Dir: c.dir, Retention: c.ask}); got != c.want {
			t.Errorf("asked for %s: retention is %s, want %s", c.ask, got, c.want)
		}
	}
}

func TestStopIsQuickAndCanBeRepeated(t *testing.T) {
	s := start(t, Options{})
	c := dial(t, s)
	work(t, c)
	execute(t, c, "run", oneActivity)
	finished(t, c, "run")
	began := time.Now()
	s.Stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("with a worker still polling, stop took %s", took)
	}
	s.Stop()
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if s, err := Start(ctx, Options{Dir: dir}); err == nil {
		s.Stop()
		t.Fatal("started under a cancelled context")
	}
	start(t, Options{Dir: dir})
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no directory":    {},
		"bad namespace":   {Dir: t.TempDir(), Namespace: "a'b"},
		"short retention": {Dir: t.TempDir(), Retention: time.Minute},
	} {
		if s, err := Start(t.Context(), o); err == nil {
			s.Stop()
			t.Errorf("%s: started", name)
		}
	}
}

// records collects what is logged.
type records struct {
	slog.Handler
	mu   sync.Mutex
	list []string
}

func (r *records) Enabled(context.Context, slog.Level) bool { return true }
func (r *records) WithAttrs([]slog.Attr) slog.Handler       { return r }

func (r *records) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := record.Level.String() + " " + record.Message
	record.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	r.list = append(r.list, text)
	return nil
}

func (r *records) logger() *slog.Logger { return slog.New(r) }

func (r *records) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.list...)
}

func TestQuietWhenNothingIsWrong(t *testing.T) {
	logged := &records{}
	dir := t.TempDir()
	for range 2 {
		s := start(t, Options{Dir: dir, Log: logged.logger()})
		c := dial(t, s)
		work(t, c)
		for _, wf := range []any{oneActivity, oneLocalActivity} {
			execute(t, c, "run", wf)
			finished(t, c, "run")
		}
		listed(t, c, "ExecutionStatus = 'Running'", 0)
		s.Stop()
	}
	for _, line := range logged.all() {
		t.Error(line)
	}
}

func TestEagerStartAndActivities(t *testing.T) {
	var mu sync.Mutex
	var eagerTask, eagerActivity bool
	watch := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		mu.Lock()
		defer mu.Unlock()
		switch r := reply.(type) {
		case *workflowservice.StartWorkflowExecutionResponse:
			eagerTask = eagerTask || r.EagerWorkflowTask != nil
		case *workflowservice.RespondWorkflowTaskCompletedResponse:
			eagerActivity = eagerActivity || len(r.ActivityTasks) > 0
		}
		return err
	}
	c := dial(t, start(t, Options{}), watch)
	work(t, c)
	execute(t, c, "run", oneActivity)
	finished(t, c, "run")
	mu.Lock()
	defer mu.Unlock()
	if !eagerTask || !eagerActivity {
		t.Errorf("the answer to the start held the first task: %t; the answer to the task held the activity: %t", eagerTask, eagerActivity)
	}
}

func TestADeadWorkersTaskIsTakenUpAfterFiveSeconds(t *testing.T) {
	c := dial(t, start(t, Options{}))
	execute(t, c, "run", oneActivity)
	event, err := c.GetWorkflowHistory(t.Context(), "run", "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT).Next()
	if err != nil {
		t.Fatal(err)
	}
	if got := event.GetWorkflowExecutionStartedEventAttributes().GetWorkflowTaskTimeout().AsDuration(); got != 5*time.Second {
		t.Errorf("the timeout of a workflow task is %s", got)
	}
}

// A waiter that missed the end of a run asks again when its long poll ends; by default that takes 20 seconds.
func TestAWaiterAsksAgainSoon(t *testing.T) {
	c := dial(t, start(t, Options{}))
	execute(t, c, "run", oneActivity)
	began := time.Now()
	_, err := c.WorkflowService().GetWorkflowExecutionHistory(t.Context(), &workflowservice.GetWorkflowExecutionHistoryRequest{
		Namespace:              DefaultNamespace,
		Execution:              &commonpb.WorkflowExecution{WorkflowId: "run"},
		WaitNewEvent:           true,
		HistoryEventFilterType: enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
	})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("a long poll took %s", took)
	}
}
