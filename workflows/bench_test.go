package workflows_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// BenchmarkFirstAction is the time from asking for a run to the first call of
// its first action, beside the floor measured in the same process: from asking
// for a bare workflow to the call of its one local activity.
func BenchmarkFirstAction(b *testing.B) {
	bench := newBench(b, "hall")
	rb := bench.load(head + "steps: [{id: look, if: 'alert.labels.severity == \"critical\"', do: lamp.count}]\nverify: {do: lamp.count, until: value >= 0, within: 1s}\n")
	bare := bareFloor(bench)
	var took, floor []time.Duration
	for n := 0; b.Loop(); n++ {
		floor = append(floor, bare(n))
		plan := bench.planOf(rb)
		began := time.Now()
		if _, err := bench.runs.Start(b.Context(), plan); err != nil {
			b.Fatal(err)
		}
		took = append(took, bench.wait(plan.RunID()).FirstActionAt.Sub(began))
	}
	report(b, "", took)
	report(b, "floor-", floor)
	b.ReportMetric(quantile(took, 0.5).Seconds()/quantile(floor, 0.5).Seconds(), "ratio-p50")
}

func bareFloor(bench *bench) func(n int) time.Duration {
	queue := bench.queue + "-floor"
	called := make(chan time.Time, 1)
	w := worker.New(bench.client, queue, worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
		return workflow.ExecuteLocalActivity(ctx, func(context.Context) error {
			called <- time.Now()
			return nil
		}).Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "bare"})
	if err := w.Start(); err != nil {
		bench.t.Fatal(err)
	}
	bench.t.Cleanup(w.Stop)
	return func(n int) time.Duration {
		began := time.Now()
		_, err := bench.client.ExecuteWorkflow(bench.t.Context(), client.StartWorkflowOptions{
			ID: fmt.Sprintf("%s/%d/%d", queue, n, began.UnixNano()), TaskQueue: queue, EnableEagerStart: true,
		}, "bare")
		if err != nil {
			bench.t.Fatal(err)
		}
		return (<-called).Sub(began)
	}
}

func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1))]
}

func report(b *testing.B, prefix string, all []time.Duration) {
	for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		b.ReportMetric(float64(quantile(all, q).Microseconds())/1000, prefix+name+"-ms")
	}
}
