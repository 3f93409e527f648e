package workflows_test

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

// drill stands for a game day: a holder of the ledger that is no run. It gives
// what it was told: of its turn, and then to make way.
func drill(ctx workflow.Context) (told [2]string, err error) {
	var turn ledger.Answer
	workflow.GetSignalChannel(ctx, workflows.SignalAdmitted).Receive(ctx, &turn)
	told[0] = string(turn.State)
	var stop workflows.CancelRequest
	workflow.GetSignalChannel(ctx, workflows.SignalCancel).Receive(ctx, &stop)
	told[1] = stop.By
	return told, nil
}

// What holds something in the ledger need not be a run: it is told under the id
// of its own workflow.
func TestAHolderThatIsNoRunIsTold(t *testing.T) {
	k := newKeeper(t, ledger.Limits{Lease: model.Duration(time.Minute)}, 0)
	k.worker.Stop()
	k.worker = worker.New(k.client, k.queue, workflows.WorkerOptions(t.Context()))
	workflows.RegisterLedger(k.worker)
	k.worker.RegisterWorkflowWithOptions(drill, workflow.RegisterOptions{Name: "Drill"})
	if err := k.worker.Start(); err != nil {
		t.Fatal(err)
	}
	id := "gameday/" + k.queue
	started, err := k.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: k.queue}, "Drill")
	if err != nil {
		t.Fatal(err)
	}
	gameday := admitOp(2, "gameday", "hall", "")
	gameday.Admit.Run, gameday.Admit.Workflow = "drill.1", id
	k.apply(admitOp(1, "exec", "hall", ""))
	if a := k.apply(gameday)[0]; a.State != ledger.Queued {
		t.Fatalf("%+v", a)
	}
	k.apply(ledger.Op{Release: &ledger.Release{Run: "heal.1"}})
	k.eventually("the game day has its turn", func(s ledger.Snapshot) bool { return len(s.Leases) == 1 && s.Leases[0].Run == "drill.1" })
	k.apply(admitOp(3, "exec", "hall", "replace"))
	var told [2]string
	if err := started.Get(t.Context(), &told); err != nil || told != [2]string{"admitted", "the ledger"} {
		t.Errorf("%q, %v", told, err)
	}
}
