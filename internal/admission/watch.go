package admission

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/converter"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

// Snapshot is the ledger for people. A worker has to be there.
func (c *Client) Snapshot(ctx context.Context) (ledger.Snapshot, error) {
	value, err := c.temporal.QueryWorkflow(ctx, workflows.LedgerID, "", workflows.QuerySnapshot)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return ledger.New(time.Now()).Snapshot(), nil
	}
	if err != nil {
		return ledger.Snapshot{}, fmt.Errorf("look at the ledger: %w", err)
	}
	var s ledger.Snapshot
	if err := value.Get(&s); err != nil {
		return ledger.Snapshot{}, fmt.Errorf("read the state of the ledger: %w", err)
	}
	return s, nil
}

// errUnpublished: the ledger has begun a new execution, and has not said yet how
// things are. What it said before still holds.
var errUnpublished = errors.New("the ledger has not said yet how things are")

// Brief is what the ledger says of the kill switch, the breaker and the queue.
// It asks the Temporal server only, and costs little.
func (c *Client) Brief(ctx context.Context) (ledger.Brief, error) {
	out, err := c.temporal.DescribeWorkflowExecution(ctx, workflows.LedgerID, "")
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		return ledger.Brief{}, nil
	}
	if err != nil {
		return ledger.Brief{}, fmt.Errorf("look at the ledger: %w", err)
	}
	payload := out.GetWorkflowExecutionInfo().GetMemo().GetFields()[workflows.MemoBrief]
	if payload == nil {
		return ledger.Brief{}, errUnpublished
	}
	var b ledger.Brief
	if err := converter.GetDefaultDataConverter().FromPayload(payload, &b); err != nil {
		return ledger.Brief{}, fmt.Errorf("read the state of the ledger: %w", err)
	}
	return b, nil
}

// WatchEvery is how old what a watcher knows may be.
const WatchEvery = 250 * time.Millisecond

// Watch tells how things are, at first and whenever that changes, and when they
// can not be found out, until the context ends.
func (c *Client) Watch(ctx context.Context, tell func(ledger.Brief, error)) {
	w := watcher{tell: tell}
	ticker := time.NewTicker(WatchEvery)
	defer ticker.Stop()
	for {
		w.see(c.look(ctx))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *Client) look(ctx context.Context) (ledger.Brief, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*WatchEvery)
	defer cancel()
	return c.Brief(ctx)
}

type watcher struct {
	tell   func(ledger.Brief, error)
	known  bool
	failed bool
	last   ledger.Brief
}

func (w *watcher) see(b ledger.Brief, err error) {
	switch {
	case errors.Is(err, errUnpublished):
	case err != nil:
		if !w.failed {
			w.tell(w.last, err)
		}
		w.failed = true
	case !w.known || w.failed || !b.Equal(w.last):
		w.known, w.failed, w.last = true, false, b
		w.tell(b, nil)
	}
}
