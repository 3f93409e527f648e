package workflows

import (
	"context"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
)

// Names of the local activities.
const (
	ActivityDecide       = "decide"
	ActivityPrepare      = "prepare"
	ActivityPrepareCheck = "prepare_check"
	ActivitySummarise    = "summarise"
	ActivityConclude     = "conclude"
	ActivityLedger       = "ledger"
	ActivityGate         = "gate"
	ActivityRemedy       = "remedy"
	ActivityHush         = "hush"
)

// TaskQueue is where runs wait for a worker.
const TaskQueue = "runbook"

// Register makes a worker able to carry out runs. Activities are named after
// their actions, so that a history in Temporal reads like the runbook.
func Register(w worker.Registry, a *Activities) {
	w.RegisterWorkflowWithOptions(Remediate, workflow.RegisterOptions{Name: RemediateType})
	for name, f := range map[string]any{
		ActivityDecide: a.Decide, ActivityPrepare: a.Prepare, ActivityPrepareCheck: a.PrepareCheck,
		ActivitySummarise: a.Summarise, ActivityConclude: a.Conclude,
		ActivityLedger: a.ApplyLedger, ActivityGate: a.Gate, ActivityRemedy: a.Remedy,
		ActivityHush: a.Hush,
	} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	for _, action := range a.Catalog.All() {
		registerAction(w, caller{a, action})
	}
}

func registerAction(w worker.Registry, c caller) {
	register := func(prefix string, f any) {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: prefix + "/" + c.action.Name})
	}
	register("run", c.run)
	if c.action.Selects {
		register("targets", c.targets)
	}
	if c.action.Undoes() {
		register("undo", c.undo)
	}
	if c.action.Asks() {
		register("ask", c.ask)
	}
	if isProbe(c.action) {
		register("verify", c.check)
	}
}

func isProbe(a actions.Action) bool { return !a.Risk.Writes() && !a.Selects }

// WorkerOptions are those that runs need.
func WorkerOptions(ctx context.Context) worker.Options {
	return worker.Options{
		BackgroundActivityContext:        ctx,
		MaxHeartbeatThrottleInterval:     heartbeatEvery,
		DefaultHeartbeatThrottleInterval: heartbeatEvery,
		WorkerStopTimeout:                workerStop,
		// Enough to keep two cores busy in a burst of alerts; the default is 2.
		MaxConcurrentWorkflowTaskPollers: 8,
	}
}
