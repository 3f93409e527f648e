// Package admission asks the ledger: whether a run may act, whether it still
// holds its lease, and what the kill switch and the storm breaker say. The
// ledger itself is a workflow; what it decides is in package ledger.
package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

// Client asks the ledger of one Temporal namespace. It is safe for concurrent
// use: what is asked while an update is under way goes together in the next.
type Client struct {
	temporal client.Client
	queue    string
	limits   func() ledger.Limits
	clock    clock

	mu      sync.Mutex
	waiting []*question
	asking  bool

	fresh freshProofs
}

type question struct {
	ctx      context.Context
	op       ledger.Op
	answered chan reply
}

type reply struct {
	answer ledger.Answer
	err    error
}

const (
	maxBatch   = 200
	maxAsk     = 10 * time.Second
	firstPause = 20 * time.Millisecond
	maxPause   = time.Second
)

// New makes a client. The ledger, should it have to be started, is given to the
// workers of a task queue. The limits are asked for at each operation.
func New(c client.Client, queue string, limits func() ledger.Limits) *Client {
	return &Client{temporal: c, queue: queue, limits: limits, clock: machine{}}
}

// Ensure starts the ledger, unless it is there.
func (c *Client) Ensure(ctx context.Context) error {
	_, err := c.temporal.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.LedgerID, TaskQueue: c.queue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:            "Who may act, on what, and how often",
	}, workflows.LedgerType, workflows.LedgerState{})
	if err != nil {
		return fmt.Errorf("start the ledger: %w", err)
	}
	return nil
}

// Apply carries out an operation. While Temporal can not be reached it goes on
// trying, until the context ends: each operation may be repeated. A refusal is
// an answer, not an error.
func (c *Client) Apply(ctx context.Context, op ledger.Op) (ledger.Answer, error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		asked := c.clock.read()
		answer, err := c.ask(ctx, op)
		if err == nil {
			c.fresh.note(op, answer, asked)
			return answer, nil
		}
		if again(err) {
			pause = firstPause
		}
		if permanent(err) || !sleep(ctx, pause) {
			return ledger.Answer{}, fmt.Errorf("ask the ledger: %w", err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// again says that the ledger is there, and about to begin anew.
func again(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == workflows.ErrorAgain
}

// permanent errors are not worth asking again.
func permanent(err error) bool {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return !again(err)
	}
	var invalid *serviceerror.InvalidArgument
	var denied *serviceerror.PermissionDenied
	var namespace *serviceerror.NamespaceNotFound
	return errors.As(err, &invalid) || errors.As(err, &denied) || errors.As(err, &namespace)
}

func (c *Client) ask(ctx context.Context, op ledger.Op) (ledger.Answer, error) {
	q := &question{ctx: ctx, op: op, answered: make(chan reply, 1)}
	c.mu.Lock()
	c.waiting = append(c.waiting, q)
	if !c.asking {
		c.asking = true
		go c.askAll()
	}
	c.mu.Unlock()
	select {
	case r := <-q.answered:
		return r.answer, r.err
	case <-ctx.Done():
		return ledger.Answer{}, context.Cause(ctx)
	}
}

func (c *Client) askAll() {
	for {
		batch := c.batch()
		if batch == nil {
			return
		}
		answers, err := c.update(batch)
		for i, q := range batch {
			r := reply{err: err}
			if err == nil {
				r.answer = answers[i]
			}
			q.answered <- r
		}
	}
}

// batch takes who waits. Who has given up is not asked for.
func (c *Client) batch() []*question {
	c.mu.Lock()
	defer c.mu.Unlock()
	var batch []*question
	for len(c.waiting) > 0 && len(batch) < maxBatch {
		if q := c.waiting[0]; q.ctx.Err() == nil {
			batch = append(batch, q)
		}
		c.waiting = c.waiting[1:]
	}
	c.asking = len(batch) > 0
	return batch
}

func (c *Client) update(batch []*question) ([]ledger.Answer, error) {
	limits := c.limits()
	ctx, cancel := context.WithTimeout(context.Background(), patience(limits))
	defer cancel()
	ops := make([]ledger.Op, len(batch))
	for i, q := range batch {
		ops[i] = q.op
	}
	answers, err := c.updateOnce(ctx, limits, ops)
	var gone *serviceerror.NotFound
	if errors.As(err, &gone) {
		if err := c.Ensure(ctx); err != nil {
			return nil, err
		}
		answers, err = c.updateOnce(ctx, limits, ops)
	}
	if err == nil && len(answers) != len(ops) {
		err = fmt.Errorf("%d operations have %d answers", len(ops), len(answers))
	}
	return answers, err
}

// patience leaves a lease time for another try.
func patience(limits ledger.Limits) time.Duration {
	if lease := time.Duration(limits.Lease); lease > 0 {
		return min(lease/3, maxAsk)
	}
	return maxAsk
}

func (c *Client) updateOnce(ctx context.Context, limits ledger.Limits, ops []ledger.Op) ([]ledger.Answer, error) {
	handle, err := c.temporal.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflows.LedgerID, UpdateName: workflows.UpdateApply, Args: []any{limits, ops},
		WaitForStage: client.WorkflowUpdateStageCompleted,
	})
	if err != nil {
		return nil, err
	}
	var answers []ledger.Answer
	return answers, handle.Get(ctx, &answers)
}
