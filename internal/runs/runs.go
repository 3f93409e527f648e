// Package runs starts, finds, follows and stops runs, through Temporal. Whoever
// wants a run, the receiver, the API or a game day, comes through here.
package runs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// ErrNotFound is returned for a run that is not in the history.
var ErrNotFound = errors.New("no such run")

// ErrEnded is returned for what can only be done to a run under way.
var ErrEnded = errors.New("the run has ended")

// Service reaches the runs of one Temporal namespace.
type Service struct {
	client client.Client
	hub    *Hub
	queue  string
	held   atomic.Bool
}

// New makes a service that gives its runs to the workers of a task queue. Changes of runs on workers of this process are heard
// through the hub at once; those elsewhere are found by looking.
func New(c client.Client, hub *Hub, queue string) *Service {
	return &Service{client: c, hub: hub, queue: queue}
}

// Start makes a run durable. It reports false when a run for the same episode
// is there already, under way or ended: then nothing is started.
func (s *Service) Start(ctx context.Context, plan runbooks.Plan) (started bool, err error) {
	_, err = s.client.ExecuteWorkflow(ctx, s.startOptions(&plan), workflows.RemediateType, plan)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &already):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("start run %s: %w", plan.RunID(), err)
	}
	return true, nil
}

// Resolve tells the run of an episode that its alert has ended. A run that never
// began is begun and ends at once: so that a late firing of this episode finds
// it there. It reports false when the run has ended already.
func (s *Service) Resolve(ctx context.Context, plan runbooks.Plan, endsAt time.Time) (told bool, err error) {
	options := s.startOptions(&plan)
	options.WorkflowIDConflictPolicy = enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING
	_, err = s.client.SignalWithStartWorkflow(ctx, options.ID, workflows.SignalResolved,
		workflows.Resolution{EndsAt: endsAt}, options, workflows.RemediateType, plan)
	var already *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &already):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("tell run %s that its alert has ended: %w", plan.RunID(), err)
	}
	return true, nil
}

func (s *Service) startOptions(p *runbooks.Plan) client.StartWorkflowOptions {
	attrs := []temporal.SearchAttributeUpdate{
		workflows.KeyRunbook.ValueSet(p.Runbook),
		workflows.KeySource.ValueSet(string(p.Source)),
		workflows.KeyMode.ValueSet(string(p.Mode)),
	}
	memo := map[string]any{memoActor: p.Actor}
	if p.Alert != nil {
		attrs = append(attrs, workflows.KeyFingerprint.ValueSet(p.Alert.Fingerprint), workflows.KeyAlertStart.ValueSet(p.Alert.StartsAt))
		memo[memoAlert], memo[memoReceiver] = p.Alert.Name(), p.Alert.Receiver
	}
	return client.StartWorkflowOptions{
		ID:        runbooks.WorkflowID(p.RunID()),
		TaskQueue: s.queue,
		// One run an episode, for as long as the history is kept.
		WorkflowIDReusePolicy:                    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy:                 enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		WorkflowExecutionErrorWhenAlreadyStarted: true,
		EnableEagerStart:                         true,
		TypedSearchAttributes:                    temporal.NewSearchAttributes(attrs...),
		Memo:                                     memo,
		StaticSummary:                            p.Document.Summary,
	}
}

// Cancel asks a run to stop.
func (s *Service) Cancel(ctx context.Context, id string, request workflows.CancelRequest) error {
	return s.tell(ctx, id, "cancel", workflows.SignalCancel, request)
}

// Decide gives a person's answer to a run that asks for consent.
func (s *Service) Decide(ctx context.Context, id string, decision workflows.Decision) error {
	return s.tell(ctx, id, "answer", workflows.SignalDecision, decision)
}

// tell signals a run that must be under way.
func (s *Service) tell(ctx context.Context, id, doing, signal string, arg any) error {
	told, err := s.signal(ctx, runbooks.WorkflowID(id), signal, arg)
	if err != nil || told {
		return wrap(err, "%s run %s", doing, id)
	}
	if _, err := s.Get(ctx, id); err != nil {
		return err
	}
	return fmt.Errorf("%s run %s: %w", doing, id, ErrEnded)
}

// Get is the state of a run.
func (s *Service) Get(ctx context.Context, id string) (run.Run, error) {
	if s.held.Load() {
		return s.kept(ctx, id)
	}
	var r run.Run
	value, err := s.ask(ctx, id)
	var gone *serviceerror.NotFound
	switch {
	case errors.As(err, &gone):
		return r, fmt.Errorf("%w: %s", ErrNotFound, id)
	case err != nil:
		return s.result(ctx, id, err)
	}
	return r, wrap(value.Get(&r), "read run %s", id)
}

const (
	askTimes = 4
	askAgain = 50 * time.Millisecond
)

// ask queries a run. A query that meets a worker in the middle of its first
// tasks now and then fails in the SDK's replay, and not the next time.
func (s *Service) ask(ctx context.Context, id string) (value converter.EncodedValue, err error) {
	for range askTimes {
		value, err = s.client.QueryWorkflow(ctx, runbooks.WorkflowID(id), "", workflows.QueryRun)
		var failed *serviceerror.QueryFailed
		if !errors.As(err, &failed) {
			return value, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(askAgain):
		}
	}
	return value, err
}

// result is the state of a run that can not be asked: an ended one answers with
// its result.
func (s *Service) result(ctx context.Context, id string, asked error) (run.Run, error) {
	var r run.Run
	described, err := s.client.DescribeWorkflowExecution(ctx, runbooks.WorkflowID(id), "")
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", id, errors.Join(asked, err))
	}
	if described.WorkflowExecutionInfo.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return r, fmt.Errorf("read run %s: %w", id, asked)
	}
	err = s.client.GetWorkflow(ctx, runbooks.WorkflowID(id), "").Get(ctx, &r)
	return r, wrap(err, "read run %s", id)
}

func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

const lookEvery = 500 * time.Millisecond

// Watch gives the state of a run now, after each change, and at its end, when it
// returns nil. It never relies on one long wait, which Temporal can miss.
func (s *Service) Watch(ctx context.Context, id string, show func(run.Run) error) error {
	changed, stop := s.hub.subscribe(id)
	defer stop()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	shown := ""
	for {
		r, err := s.Get(ctx, id)
		if err != nil {
			return err
		}
		if mark := progress(r); mark != shown {
			shown = mark
			if err := show(r); err != nil {
				return err
			}
		}
		if r.Status == run.Ended {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		case <-ticker.C:
		}
	}
}

func progress(r run.Run) string {
	return fmt.Sprintf("%s %s %d %d", r.Status, r.Phase, len(r.Events), r.Acts())
}
