//go:build !noembedded

package temporalserver

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/grpc"
)

// A floor is what the cheapest possible workflow costs on this server: whatever the engine adds is measured against it.
// A run counts as finished when the server has acknowledged its completion, which the worker's own connection sees. A
// waiter on the history would add its own delay.

func noop(context.Context) error { return nil }

func oneLocalActivity(ctx workflow.Context) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.ExecuteLocalActivity(ctx, noop).Get(ctx, nil)
}

func oneActivity(ctx workflow.Context) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	return workflow.ExecuteActivity(ctx, noop).Get(ctx, nil)
}

type floor struct {
	client client.Client
	done   chan struct{}
}

func newFloor(tb testing.TB) *floor {
	f := &floor{done: make(chan struct{}, 10_000)}
	f.client = dial(tb, start(tb, Options{}), f.watch)
	work(tb, f.client)
	return f
}

// watch reports each acknowledged completion.
func (f *floor) watch(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if r, ok := req.(*workflowservice.RespondWorkflowTaskCompletedRequest); ok && err == nil {
		for _, c := range r.Commands {
			if c.CommandType == enumspb.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION {
				f.done <- struct{}{}
			}
		}
	}
	return err
}

func (f *floor) start(tb testing.TB, id string, wf any, eager bool) {
	_, err := f.client.ExecuteWorkflow(tb.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue, EnableEagerStart: eager}, wf)
	if err != nil {
		tb.Fatal(err)
	}
}

func (f *floor) wait(tb testing.TB) {
	select {
	case <-f.done:
	case <-time.After(time.Minute):
		tb.Fatal("a run did not finish within a minute")
	}
}

func BenchmarkFloor(b *testing.B) {
	for _, c := range []struct {
		name  string
		wf    any
		eager bool
	}{
		{"local_activity_eager_start", oneLocalActivity, true},
		{"activity", oneActivity, false},
		{"activity_eager_start", oneActivity, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := newFloor(b)
			for i := range 50 {
				f.start(b, fmt.Sprint("warm-up/", i), c.wf, c.eager)
				f.wait(b)
			}
			var took []time.Duration
			cpu := cpuTime(b)
			for b.Loop() {
				began := time.Now()
				f.start(b, fmt.Sprint("run/", len(took)), c.wf, c.eager)
				f.wait(b)
				took = append(took, time.Since(began))
			}
			b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/1000/float64(len(took)), "cpu-ms/op")
			reportLatency(b, took)
		})
	}
}

// BenchmarkFloorThroughput has 32 runs under way at any time.
func BenchmarkFloorThroughput(b *testing.B) {
	f := newFloor(b)
	slots := make(chan struct{}, 32)
	began, cpu := time.Now(), cpuTime(b)
	n := 0
	for b.Loop() {
		slots <- struct{}{}
		go func() { f.wait(b); <-slots }()
		f.start(b, fmt.Sprint("run/", n), oneLocalActivity, true)
		n++
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/1000/float64(n), "cpu-ms/op")
	b.ReportMetric(float64(n)/time.Since(began).Seconds(), "runs/s")
}

// BenchmarkListed is the time from the acknowledged start of a run until a search finds it.
func BenchmarkListed(b *testing.B) {
	c := dial(b, start(b, Options{}))
	var took []time.Duration
	for b.Loop() {
		id := fmt.Sprint("run/", len(took))
		execute(b, c, id, oneActivity)
		began := time.Now()
		for n := int64(0); n == 0; {
			var err error
			if n, err = count(b.Context(), c, fmt.Sprintf("WorkflowId = %q", id)); err != nil {
				b.Fatal(err)
			}
		}
		took = append(took, time.Since(began))
	}
	reportLatency(b, took)
}

// BenchmarkStart is a server on a directory that has one already, as at each start but the first.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	start(b, Options{Dir: dir}).Stop()
	var took, stop []time.Duration
	for b.Loop() {
		began := time.Now()
		s := start(b, Options{Dir: dir})
		took = append(took, time.Since(began))
		began = time.Now()
		s.Stop()
		stop = append(stop, time.Since(began))
	}
	reportLatency(b, took)
	slices.Sort(stop)
	b.ReportMetric(stop[len(stop)/2].Seconds()*1000, "stop-p50-ms")
}

// cpuTime is what this process, server and worker, has used.
func cpuTime(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func reportLatency(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
}
