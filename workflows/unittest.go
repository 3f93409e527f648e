package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// World answers for the systems that a rehearsed run asks and touches. A step is
// named by its id; the run's own verify has none.
type World interface {
	Targets(step string) (actions.Selection, error)
	Run(step, target string) (output json.RawMessage, takes time.Duration, err error)
	Undo(step, target string) error
	Look(step string) (json.RawMessage, error)
}

// Happening is what comes about during a rehearsal: a signal to the run, or an
// operation on the ledger.
type Happening struct {
	After  time.Duration
	Signal string
	Input  any
	Op     *ledger.Op
}

// Rehearsal is a run of the interpreter on virtual time, in a world that answers
// as it was told to. The zero value of a field is an engine that says nothing
// against the run.
type Rehearsal struct {
	Catalog   *actions.Catalog
	Evaluator *runbooks.Evaluator
	World     World
	Start     time.Time
	Ledger    *ledger.Ledger
	Happens   []Happening
	Windows   []string
	Autonomy  func(*runbooks.Plan, runbooks.Moment) (runbooks.Level, []string)
	Halted    func(now time.Time) string
	Firing    func(now time.Time) bool
}

// Rehearsed is what came of a rehearsal.
type Rehearsed struct {
	Run run.Run
	// Told is what people were told, in order.
	Told []Message
}

// idleLimit is how long a rehearsal may stand still, by the world's clock.
const idleLimit = time.Minute

// Rehearse carries out a plan. No system is touched.
func (r Rehearsal) Rehearse(plan runbooks.Plan) (out Rehearsed, err error) {
	defer func() {
		// The test environment panics where the SDK would fail a task.
		if p := recover(); p != nil {
			err = fmt.Errorf("rehearse %s: %v", plan.Runbook, p)
		}
	}()
	s := &stage{Rehearsal: r, spent: map[string]time.Duration{}}
	s.open(plan)
	s.env.ExecuteWorkflow(RemediateType, plan)
	if err := s.env.GetWorkflowError(); err != nil {
		return out, fmt.Errorf("rehearse %s: %w", plan.Runbook, err)
	}
	if err := s.env.GetWorkflowResult(&out.Run); err != nil {
		return out, fmt.Errorf("rehearse %s: %w", plan.Runbook, err)
	}
	out.Told = s.told
	return out, nil
}

func (s *stage) open(plan runbooks.Plan) {
	suite := testsuite.WorkflowTestSuite{}
	suite.SetLogger(sdklog.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
	s.env = suite.NewTestWorkflowEnvironment()
	s.env.SetTestTimeout(idleLimit)
	s.env.SetStartTime(s.Start)
	s.env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: runbooks.WorkflowID(plan.RunID()), TaskQueue: TaskQueue})
	s.env.SetWorkerOptions(worker.Options{
		Interceptors: []interceptor.WorkerInterceptor{&backstage{stage: s}},
		// By the clock of the world, of which a busy machine has none to spare.
		DeadlockDetectionTimeout: idleLimit,
	})
	Register(s.env, s.activities())
	s.env.RegisterWorkflowWithOptions(func(workflow.Context, Page) error { return nil }, workflow.RegisterOptions{Name: PageType})
	s.env.RegisterActivityWithOptions(s.post, activity.RegisterOptions{Name: ActivityPagePost})
	for _, h := range s.Happens {
		s.env.RegisterDelayedCallback(func() { s.happen(plan.RunID(), h) }, h.After)
	}
}

func (s *stage) activities() *Activities {
	a := &Activities{
		Catalog: s.Catalog.Scripted(s), Evaluator: s.Evaluator,
		Windows: func(time.Time) []string { return s.Windows },
		clock:   func() clock { return &virtual{at: s.env.Now()} },
	}
	if s.Ledger != nil {
		a.Ledger = s
		// A case need not say what a run would see that is not admitted.
		a.crowded.Store(true)
	}
	if s.Autonomy != nil {
		a.Autonomy = func(_ context.Context, p *runbooks.Plan, m runbooks.Moment) (runbooks.Level, []string, error) {
			level, why := s.Autonomy(p, m)
			return level, why, nil
		}
	}
	if s.Halted != nil {
		a.Halted = func() string { return s.Halted(s.env.Now()) }
	}
	if s.Firing != nil {
		a.Firing = func(context.Context, *runbooks.Alert) (bool, error) { return s.Firing(s.env.Now()), nil }
	}
	return a
}

func (s *stage) happen(runID string, h Happening) {
	if h.Op != nil {
		s.apply(runID, *h.Op)
	}
	if h.Signal != "" {
		s.env.SignalWorkflow(h.Signal, h.Input)
	}
}

// post keeps what people are told in the order in which they are.
func (s *stage) post(_ context.Context, p Page) (missed string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, p.Message)
	return "", nil
}

// Targets implements actions.Script.
func (s *stage) Targets(ctx context.Context, _ actions.Action) (actions.Selection, error) {
	return s.World.Targets(askedFor(ctx).step)
}

// Run implements actions.Script.
func (s *stage) Run(ctx context.Context, _ actions.Action, target actions.Target) (json.RawMessage, error) {
	asked := askedFor(ctx)
	if asked.check {
		return s.World.Look(asked.step)
	}
	if asked.engine {
		return json.RawMessage("{}"), nil
	}
	output, takes, err := s.World.Run(asked.step, target.ID)
	s.spend(asked.step+"/"+target.ID, takes)
	return output, err
}

// Undo implements actions.Script.
func (s *stage) Undo(ctx context.Context, _ actions.Action, target actions.Target) error {
	asked := askedFor(ctx)
	if asked.engine {
		return nil
	}
	return s.World.Undo(asked.step, target.ID)
}

var errLease = errors.New("the lease is over")

// Apply implements Ledger.
func (s *stage) Apply(_ context.Context, op ledger.Op) (ledger.Answer, error) {
	return s.apply("", op), nil
}

// Hold implements Ledger.
func (s *stage) Hold(ctx context.Context, runID string, token int64) (context.Context, func() error, error) {
	answer := s.apply("", ledger.Op{Confirm: &ledger.Confirm{Run: runID, Token: token}})
	if answer.State != ledger.Admitted {
		return nil, nil, fmt.Errorf("%w: %s", errLease, answer.Reason)
	}
	return ctx, func() error { return nil }, nil
}
