package workflows

import (
	"context"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// stage is a rehearsal under way.
type stage struct {
	Rehearsal
	env *testsuite.TestWorkflowEnvironment

	mu    sync.Mutex
	told  []Message
	spent map[string]time.Duration // by step and target: what calls took and the run has not waited for yet
}

// virtual is the clock of one activity: its waiting costs nothing, and the run
// catches up with it afterwards.
type virtual struct{ at time.Time }

func (v *virtual) now() time.Time { return v.at }

func (v *virtual) wait(ctx context.Context, d time.Duration) error {
	v.at = v.at.Add(d)
	return ctx.Err()
}

// RehearsedLease outlasts what any document waits for: no lease of a rehearsal
// expires because nobody renewed it on virtual time.
const RehearsedLease = model.Duration(30 * 24 * time.Hour)

// apply asks the ledger on virtual time. What it has to tell the run goes to it.
// The environment is asked for nothing while the stage is locked: its workflow
// code waits for the stage.
func (s *stage) apply(runID string, op ledger.Op) ledger.Answer {
	answer, effects := s.book(s.env.Now(), op)
	for _, e := range effects {
		if e.Answer != nil && e.Run == runID {
			s.env.SignalWorkflow(SignalAdmitted, *e.Answer)
		}
	}
	return answer
}

func (s *stage) book(now time.Time, op ledger.Op) (ledger.Answer, []ledger.Effect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answers, effects := s.Ledger.Apply(now, ledger.Limits{Lease: RehearsedLease}, []ledger.Op{op})
	return answers[0], effects
}

func (s *stage) spend(what string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent[what] += d
}

// due is what a call took, once.
func (s *stage) due(what string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.spent[what]
	delete(s.spent, what)
	return d
}

// asked is what an action is called for.
type asked struct {
	step   string
	check  bool // a verify
	engine bool // by the engine itself, not by a step
}

type askedKey struct{}

func askedFor(ctx context.Context) asked {
	a, _ := ctx.Value(askedKey{}).(asked)
	return a
}

// askedBy reads from the input of an activity what it calls actions for.
func askedBy(input any) (a asked) {
	switch in := input.(type) {
	case Call:
		a.step = in.Step
		a.engine = in.Target.ID == "alert/"+in.Run
	case Watch:
		a.step, a.check = in.Step, true
	case Question:
		if steps := in.Plan.Document.AllSteps(); in.Step < len(steps) {
			a.step = steps[in.Step].ID
		}
	case CheckQuestion:
		a.step, a.check = in.step(), true
	}
	return a
}

// step is whose check a question is about: that of the roll-out of the step, the
// verify of the step before, or the run's own.
func (q CheckQuestion) step() string {
	steps, at := q.Plan.Document.AllSteps(), q.Question.Step
	if at < len(steps) && steps[at].Rollout != nil && reflect.DeepEqual(&q.Check, steps[at].Rollout.Breach()) {
		return RolloutStep(steps[at].ID)
	}
	if at == 0 {
		return ""
	}
	last := steps[at-1]
	facts, known := q.Moment.Steps[last.ID]
	own, of := reflect.DeepEqual(&q.Check, q.Plan.Document.Verify), reflect.DeepEqual(&q.Check, last.Verify)
	if of && (!own || known && facts.Outcome == "" || slices.Contains(q.Moment.LeftOut, last.ID) && !known) {
		return last.ID
	}
	return ""
}

// backstage sees to it that actions know what they are called for, and that
// what took time on a clock of its own takes time for the run as well.
type backstage struct {
	interceptor.WorkerInterceptorBase
	stage *stage
}

func (b *backstage) InterceptActivity(ctx context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &informed{}
	i.Next = next
	return i
}

type informed struct {
	interceptor.ActivityInboundInterceptorBase
}

func (i *informed) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	if len(in.Args) > 0 {
		ctx = context.WithValue(ctx, askedKey{}, askedBy(in.Args[0]))
	}
	return i.Next.ExecuteActivity(ctx, in)
}

func (b *backstage) InterceptWorkflow(ctx workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	i := &timed{stage: b.stage}
	i.Next = next
	return i
}

type timed struct {
	interceptor.WorkflowInboundInterceptorBase
	stage *stage
}

func (t *timed) Init(next interceptor.WorkflowOutboundInterceptor) error {
	o := &timedCalls{stage: t.stage}
	o.Next = next
	return t.Next.Init(o)
}

type timedCalls struct {
	interceptor.WorkflowOutboundInterceptorBase
	stage *stage
}

// ExecuteActivity gives the answer of an activity when it is due.
func (o *timedCalls) ExecuteActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	answered := o.Next.ExecuteActivity(ctx, name, args...)
	return later(ctx, answered, func(ctx workflow.Context) time.Time {
		switch in := args[0].(type) {
		case Watch:
			var seen Seen
			if err := answered.Get(ctx, &seen); err == nil {
				return seen.Ended
			}
		case Call:
			return o.spentOn(ctx, in.Step+"/"+in.Target.ID)
		}
		return time.Time{}
	})
}

// ExecuteLocalActivity does the same for a step that was read while it was
// prepared.
func (o *timedCalls) ExecuteLocalActivity(ctx workflow.Context, name string, args ...any) workflow.Future {
	answered := o.Next.ExecuteLocalActivity(ctx, name, args...)
	q, ok := args[0].(Question)
	if !ok {
		return answered
	}
	return later(ctx, answered, func(ctx workflow.Context) time.Time {
		var ready readied
		err := answered.Get(ctx, &ready)
		if ready.First != nil {
			ready = *ready.First
		}
		if err != nil || ready.Target == nil {
			return time.Time{}
		}
		return o.spentOn(ctx, q.Plan.Document.AllSteps()[q.Step].ID+"/"+ready.Target.ID)
	})
}

// readied is the part of Ready and Decided that names a step's target.
type readied struct {
	Target *actions.Target `json:"target"`
	First  *readied        `json:"first"`
}

func (o *timedCalls) spentOn(ctx workflow.Context, what string) time.Time {
	return workflow.Now(ctx).Add(o.stage.due(what))
}

func later(ctx workflow.Context, answered workflow.Future, due func(workflow.Context) time.Time) workflow.Future {
	future, settle := workflow.NewFuture(ctx)
	workflow.Go(ctx, func(ctx workflow.Context) {
		_ = answered.Get(ctx, nil) // the error goes on with the answer
		if wait := due(ctx).Sub(workflow.Now(ctx)); wait > 0 {
			if err := workflow.Sleep(ctx, wait); err != nil {
				settle.SetError(err)
				return
			}
		}
		settle.Chain(answered)
	})
	return future
}

// SignalExternalWorkflow tells nobody: pages of a rehearsal do not last.
func (o *timedCalls) SignalExternalWorkflow(ctx workflow.Context, _, _, _ string, _ any) workflow.Future {
	future, settle := workflow.NewFuture(ctx)
	settle.SetValue(nil)
	return future
}
