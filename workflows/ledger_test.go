package workflows_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

const ledgerHistories = "testdata/ledger"

// keeper is a ledger of its own, beside that of the server.
type keeper struct {
	*bench
	id     string
	limits ledger.Limits
}

func newKeeper(t *testing.T, limits ledger.Limits, updates int) *keeper {
	t.Helper()
	b := newBench(t, "hall")
	b.worker.Stop()
	b.worker = worker.New(b.client, b.queue, workflows.WorkerOptions(t.Context()))
	workflows.RegisterLedger(b.worker)
	if err := b.worker.Start(); err != nil {
		t.Fatal(err)
	}
	k := &keeper{bench: b, id: b.queue + "-ledger", limits: limits}
	_, err := b.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: k.id, TaskQueue: b.queue},
		workflows.LedgerType, workflows.LedgerState{Updates: updates})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keeper) apply(ops ...ledger.Op) []ledger.Answer {
	k.t.Helper()
	handle, err := k.client.UpdateWorkflow(k.t.Context(), client.UpdateWorkflowOptions{
		WorkflowID: k.id, UpdateName: workflows.UpdateApply, Args: []any{k.limits, ops}, WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	var answers []ledger.Answer
	if err == nil {
		err = handle.Get(k.t.Context(), &answers)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return answers
}

func (k *keeper) snapshot() ledger.Snapshot {
	k.t.Helper()
	value, err := k.client.QueryWorkflow(k.t.Context(), k.id, "", workflows.QuerySnapshot)
	var s ledger.Snapshot
	if err == nil {
		err = value.Get(&s)
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

func (k *keeper) eventually(what string, is func(ledger.Snapshot) bool) {
	k.t.Helper()
	for end := time.Now().Add(time.Minute); !is(k.snapshot()); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			k.t.Fatalf("not in a minute: %s: %+v", what, k.snapshot())
		}
	}
}

func admitOp(n int, source, resource, conflict string) ledger.Op {
	return ledger.Op{Admit: &ledger.Admit{
		Run: fmt.Sprintf("heal.%d", n), Runbook: "heal", Alert: "Dark", Source: source, Resource: resource, OnConflict: conflict,
		Cooldown: model.Duration(time.Second), Rate: []ledger.Rate{{N: 100, Per: model.Duration(time.Hour)}},
	}}
}

// busy takes every road through the ledger that tells somebody something or sets
// a timer.
func (k *keeper) busy() {
	k.t.Helper()
	k.apply(admitOp(1, "exec", "hall", ""))
	k.apply(admitOp(2, "exec", "hall", ""), admitOp(3, "exec", "hall", "replace"))
	k.apply(ledger.Op{Halt: &ledger.Halt{By: "ada", At: time.Now(), Until: time.Now().Add(300 * time.Millisecond)}}, admitOp(4, "exec", "attic", ""))
	k.eventually("the halt ends", func(s ledger.Snapshot) bool { return s.Halt == nil })
	for n := 5; n < 12; n++ {
		k.apply(admitOp(n, "alert", fmt.Sprint("room ", n), ""))
	}
	k.eventually("the breaker opens", func(s ledger.Snapshot) bool { return s.Storm != nil })
	k.apply(ledger.Op{Reset: &ledger.Reset{By: "ada"}})
	k.apply(ledger.Op{Release: &ledger.Release{Run: "heal.1", Acted: true}})
	k.apply(ledger.Op{Prove: &ledger.Proof{Runbook: "heal", Digest: "d", Gameday: "drill", Verdict: ledger.Passed, At: time.Now()}})
	k.eventually("the leases expire", func(s ledger.Snapshot) bool { return len(s.Leases) == 0 && s.Queued == 0 })
}

func (k *keeper) history() *historypb.History {
	k.t.Helper()
	history := &historypb.History{}
	iter := k.client.GetWorkflowHistory(k.t.Context(), k.id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for iter.HasNext() {
		event, err := iter.Next()
		if err != nil {
			k.t.Fatal(err)
		}
		history.Events = append(history.Events, event)
	}
	return history
}

func ledgerReplayer() worker.WorkflowReplayer {
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(workflows.KeepLedger, workflow.RegisterOptions{Name: workflows.LedgerType})
	return replayer
}

func busyLimits() ledger.Limits {
	return ledger.Limits{Lease: model.Duration(500 * time.Millisecond), Storm: ledger.Storm{Runs: 3, Within: model.Duration(time.Minute)}}
}

// The ledger outlives a release in the middle of its history. A change that tells
// other runs, or other things, or sets other timers needs workflow.GetVersion.
func TestLedgersReplay(t *testing.T) {
	k := newKeeper(t, busyLimits(), 0)
	k.busy()
	history := k.history()
	if err := ledgerReplayer().ReplayWorkflowHistory(nil, history); err != nil {
		t.Error(err)
	}
	file := filepath.Join(ledgerHistories, "busy.json")
	if *record {
		writeHistory(t, file, history)
	}
	if err := ledgerReplayer().ReplayWorkflowHistoryFromJSONFile(nil, file); err != nil {
		t.Errorf("the ledger no longer does what it did: %v", err)
	}
}

func TestALedgerThatBeginsAnewKnowsWhatItKnew(t *testing.T) {
	limits := busyLimits()
	limits.Lease = model.Duration(time.Minute)
	k := newKeeper(t, limits, 2)
	first := k.apply(admitOp(1, "exec", "hall", ""))[0]
	k.apply(ledger.Op{Halt: &ledger.Halt{By: "ada", At: time.Now()}})
	for n := 2; n < 8; n++ {
		if a := k.apply(admitOp(n, "exec", "hall", ""))[0]; a.Guard != ledger.GuardHalt || a.Position != n-1 {
			t.Fatalf("run %d: %+v", n, a)
		}
	}
	if again := k.apply(admitOp(1, "exec", "hall", ""))[0]; again.Token != first.Token {
		t.Errorf("token %d, then %d", first.Token, again.Token)
	}
	if first := k.history().Events[0].GetWorkflowExecutionStartedEventAttributes(); first.GetContinuedExecutionRunId() == "" {
		t.Error("it did not begin anew: nothing is shown")
	}
}

// A worker that is killed in the middle leaves nothing behind but the history:
// the next one replays it.
func TestALedgerOutlivesItsWorker(t *testing.T) {
	limits := busyLimits()
	limits.Lease = model.Duration(time.Minute)
	k := newKeeper(t, limits, 0)
	op := admitOp(1, "exec", "hall", "")
	first := k.apply(op, op)
	k.worker.Stop()
	k.worker = worker.New(k.client, k.queue, workflows.WorkerOptions(t.Context()))
	workflows.RegisterLedger(k.worker)
	worker.PurgeStickyWorkflowCache()
	if err := k.worker.Start(); err != nil {
		t.Fatal(err)
	}
	second := k.apply(op, admitOp(2, "exec", "hall", "drop"))
	if first[0].Token != first[1].Token || second[0].Token != first[0].Token || second[1].State != ledger.Refused {
		t.Errorf("%+v, then %+v", first, second)
	}
	if s := k.snapshot(); len(s.Leases) != 1 {
		t.Errorf("%+v", s.Leases)
	}
}
