package workflows

import (
	"cmp"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// Names by which the ledger is reached. There is one in a namespace.
const (
	LedgerType    = "Ledger"
	LedgerID      = "ledger"
	UpdateApply   = "apply"    // (ledger.Limits, []ledger.Op) gives []ledger.Answer
	QuerySnapshot = "snapshot" // gives ledger.Snapshot
	MemoBrief     = "brief"    // ledger.Brief, which can be read while no worker is there
	ErrorAgain    = "again"    // type of the error of an update that came between two executions
)

// RegisterLedger makes a worker able to keep the ledger.
func RegisterLedger(w worker.Registry) {
	w.RegisterWorkflowWithOptions(KeepLedger, workflow.RegisterOptions{Name: LedgerType})
}

// LedgerState is what one execution of the ledger hands to the next.
type LedgerState struct {
	Packed []byte `json:"packed,omitempty"` // of ledger.Pack; without it, an empty ledger
	// Updates is how many an execution takes before the next begins. The server
	// refuses the 2,001st.
	Updates int `json:"updates,omitempty"`
}

const ledgerUpdates = 1000

// KeepLedger keeps the ledger: what is decided is decided in package ledger, in
// the order in which Temporal gives the updates. A change of what the ledger
// tells, and to whom, needs a version: histories under way are replayed.
func KeepLedger(ctx workflow.Context, s LedgerState) error {
	k, err := newKeeper(ctx, s)
	if err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, QuerySnapshot, func() (ledger.Snapshot, error) { return k.ledger.Snapshot(), nil }); err != nil {
		return fmt.Errorf("answer queries of the ledger: %w", err)
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateApply, k.apply, workflow.UpdateHandlerOptions{Validator: k.admits}); err != nil {
		return fmt.Errorf("take operations on the ledger: %w", err)
	}
	k.publish(ctx)
	return k.keep(ctx)
}

type keeper struct {
	ledger    *ledger.Ledger
	state     LedgerState
	taken     int // updates
	telling   int // signals under way
	published *ledger.Brief
}

func newKeeper(ctx workflow.Context, s LedgerState) (*keeper, error) {
	k := &keeper{state: s}
	if k.state.Updates <= 0 {
		k.state.Updates = ledgerUpdates
	}
	if len(s.Packed) == 0 {
		k.ledger = ledger.New(workflow.Now(ctx))
		return k, nil
	}
	var err error
	// The same bytes give the same state.
	k.ledger, err = ledger.Unpack(s.Packed) //workflowcheck:ignore
	return k, err
}

func (k *keeper) apply(ctx workflow.Context, limits ledger.Limits, ops []ledger.Op) ([]ledger.Answer, error) {
	k.taken++
	answers, effects := k.ledger.Apply(workflow.Now(ctx), limits, ops)
	k.carryOut(ctx, effects)
	return answers, nil
}

// keep turns the clock of the ledger, until it is time for the next execution.
func (k *keeper) keep(ctx workflow.Context) error {
	for {
		if err := k.sleep(ctx); err != nil {
			return err
		}
		if k.finished(ctx) {
			return k.next(ctx)
		}
		k.carryOut(ctx, k.ledger.Tick(workflow.Now(ctx)))
	}
}

// sleep lasts until the ledger has something to do, and what it said before has
// been told. A timer that is there already is used as long as it is early enough.
func (k *keeper) sleep(ctx workflow.Context) error {
	timing, stop := workflow.WithCancel(ctx)
	defer stop()
	armed := k.ledger.Next()
	fired := func() bool { return false }
	if !armed.IsZero() {
		fired = workflow.NewTimer(timing, armed.Sub(workflow.Now(ctx))).IsReady
	}
	return workflow.Await(ctx, func() bool {
		return k.telling == 0 && (k.finished(ctx) || fired() || earlier(k.ledger.Next(), armed))
	})
}

func earlier(next, armed time.Time) bool {
	return !next.IsZero() && (armed.IsZero() || next.Before(armed))
}

// admits nothing more when it is time for the next execution: it begins only
// when everybody has been told, and under load that would be never.
func (k *keeper) admits(ctx workflow.Context, _ ledger.Limits, _ []ledger.Op) error {
	if k.full(ctx) {
		return temporal.NewApplicationError("the ledger begins anew; ask again", ErrorAgain)
	}
	return nil
}

func (k *keeper) full(ctx workflow.Context) bool {
	return k.taken >= k.state.Updates || workflow.GetInfo(ctx).GetContinueAsNewSuggested()
}

func (k *keeper) finished(ctx workflow.Context) bool {
	return k.full(ctx) && k.telling == 0 && workflow.AllHandlersFinished(ctx)
}

func (k *keeper) next(ctx workflow.Context) error {
	// Nothing is decided by the bytes: they are the input of the next execution.
	packed, err := k.ledger.Pack() //workflowcheck:ignore
	if err != nil {
		return err
	}
	k.state.Packed = packed
	return workflow.NewContinueAsNewError(ctx, LedgerType, k.state)
}

func (k *keeper) carryOut(ctx workflow.Context, effects []ledger.Effect) {
	for _, e := range effects {
		k.tell(ctx, e)
	}
	k.publish(ctx)
}

// tell signals a run. One that is no more does not need its turn.
func (k *keeper) tell(ctx workflow.Context, e ledger.Effect) {
	name, value := SignalAdmitted, any(e.Answer)
	if e.Answer == nil {
		name, value = SignalCancel, CancelRequest{By: "the ledger", Reason: e.Stop}
	}
	told := workflow.SignalExternalWorkflow(ctx, cmp.Or(e.Workflow, runbooks.WorkflowID(e.Run)), "", name, value)
	k.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		err := told.Get(ctx, nil)
		k.telling--
		if err != nil {
			workflow.GetLogger(ctx).Warn("the ledger could not reach a run", "run", e.Run, "error", err)
			k.ledger.Gone(e.Run)
		}
	})
}

// publish keeps the memo as it should be.
func (k *keeper) publish(ctx workflow.Context) {
	brief := k.ledger.Brief()
	if k.published != nil && brief.Equal(*k.published) {
		return
	}
	k.published = &brief
	if err := workflow.UpsertMemo(ctx, map[string]any{MemoBrief: brief}); err != nil {
		workflow.GetLogger(ctx).Error("the state of the ledger could not be published", "error", err)
	}
}
