// Package workflows carries out plans on Temporal: the interpreter, and the
// activities through which it reaches the actions. It is the only importer of
// go.temporal.io/sdk/workflow.
package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Activities is everything that a run needs from outside its workflow.
type Activities struct {
	Catalog   *actions.Catalog
	Evaluator *runbooks.Evaluator
	Audit     *audit.Log
	// Alertmanagers names the connections in which pages are held; without any, the
	// only one.
	Alertmanagers []string
	// Link is where the engine is reached from outside, for messages.
	Link string
	// Windows names the maintenance windows that are open at a time.
	Windows func(time.Time) []string
	// Ledger is asked before a run acts, and while it does. Without one nothing is
	// locked, counted or queued.
	Ledger Ledger
	// Autonomy is what a run may do by itself now, and what lowered it.
	Autonomy func(context.Context, *runbooks.Plan, runbooks.Moment) (runbooks.Level, []string, error)
	// Guards are what the engine asks of each runbook.
	Guards runbooks.EngineGuards
	// Notices is the severity of the alert that a person set a guard aside.
	Notices string
	// Tries names the drill that is to prove a runbook on an alert with these
	// labels, or gives "".
	Tries func(runbook string, labels map[string]string) string
	// Firing asks Alertmanager whether an alert still fires.
	Firing func(context.Context, *runbooks.Alert) (bool, error)
	// Halted is why the engine stands still, or "". It is asked before each effect.
	Halted func() string
	// Changed is told when something happened in a run. It must not block.
	Changed func(runID string)
	// Concluded is told how a run ended. It may be told twice.
	Concluded func(run.Run)

	clock   func() clock // the world's unless set
	crowded atomic.Bool  // the last run that asked the ledger has to wait, or was refused
}

// Call is one use of an action on one target.
type Call struct {
	Run     string          `json:"run"`
	Runbook string          `json:"runbook"`
	Actor   string          `json:"actor"`
	Reason  string          `json:"reason,omitempty"`
	Step    string          `json:"step"`
	Key     actions.Key     `json:"key,omitempty"`
	Target  actions.Target  `json:"target"`
	Token   int64           `json:"token,omitempty"` // of the run's lease
	With    json.RawMessage `json:"with,omitempty"`
}

// Answer is what came of a Call.
type Answer struct {
	Output    json.RawMessage `json:"output,omitempty"`
	StartedAt time.Time       `json:"started_at"`
	EndedAt   time.Time       `json:"ended_at"`
	Attempt   int             `json:"attempt"`
}

// maxOutput is what a history takes of one answer, in bytes.
const maxOutput = 256 << 10

type caller struct {
	*Activities
	action actions.Action
}

// Selected is a selection as a history keeps it.
type Selected struct {
	actions.Selection
	Members *ledger.Members `json:"members,omitempty"`
}

func (c caller) targets(ctx context.Context, call Call) (Selected, error) {
	defer Beat(ctx, nil)()
	defer c.keepLease(ctx, call.Run, call.Token)()
	defer c.changed(call.Run)
	bound, err := c.bind(call.With)
	if err != nil {
		return Selected{}, err
	}
	selection, err := bound.Targets(ctx)
	return Selected{selection, ledger.MembersOf(selection.Members)}, coded(err)
}

func (c caller) run(ctx context.Context, call Call) (Answer, error) {
	clock := c.clockOf()
	answer := Answer{StartedAt: clock.now(), Attempt: int(activity.GetInfo(ctx).Attempt)}
	defer Beat(ctx, nil)()
	defer c.changed(call.Run)
	c.changed(call.Run)
	bound, err := c.bind(call.With)
	if err != nil {
		return answer, err
	}
	acting, release, err := c.allow(ctx, call)
	if err != nil {
		return answer, err
	}
	if err := c.recordIntent(call, answer.Attempt); err != nil {
		return answer, errors.Join(err, release())
	}
	answer.Output, err = bound.Run(acting, call.Key, call.Target)
	err = lostWhile(release(), err)
	answer.EndedAt = clock.now()
	if len(answer.Output) > maxOutput {
		size := len(answer.Output)
		answer.Output = nil
		err = actions.Permanent(fmt.Errorf("%s gave %d bytes; a history takes %d", c.action.Name, size, maxOutput))
	}
	if recordErr := c.recordResult(call, answer, err); recordErr != nil {
		// The action is done; that its line is missing must not do it again.
		activity.GetLogger(ctx).Error("the audit line of a finished action is lost", "error", recordErr, "run", call.Run, "step", call.Step)
	}
	return answer, coded(err)
}

func (c caller) undo(ctx context.Context, call Call) error {
	defer Beat(ctx, nil)()
	defer c.changed(call.Run)
	bound, err := c.bind(call.With)
	if err != nil {
		return err
	}
	acting, release, err := c.allow(ctx, call)
	if err != nil {
		return err
	}
	err = lostWhile(release(), bound.Undo(acting, call.Key, call.Target))
	entry := c.entry(audit.Undone, call)
	if err != nil {
		entry.Error = err.Error()
	}
	if recordErr := c.Audit.Write(entry); recordErr != nil {
		activity.GetLogger(ctx).Error("the audit line of an undo is lost", "error", recordErr, "run", call.Run, "step", call.Step)
	}
	return coded(err)
}

func (c caller) bind(with json.RawMessage) (actions.Bound, error) {
	bound, problems := c.action.Bind(with)
	if err := problems.Err(); err != nil {
		return bound, coded(actions.Permanent(fmt.Errorf("parameters of %s: %w", c.action.Name, err)))
	}
	return bound, nil
}

// recordIntent keeps the promise that nothing is touched without a record.
func (c caller) recordIntent(call Call, attempt int) error {
	if !c.action.Risk.Writes() {
		return nil
	}
	entry := c.entry(audit.Acting, call)
	entry.Attempt = attempt
	return coded(c.Audit.Write(entry))
}

func (c caller) recordResult(call Call, answer Answer, err error) error {
	if !c.action.Risk.Writes() {
		return nil
	}
	entry := c.entry(audit.Acted, call)
	entry.Attempt, entry.Outcome = answer.Attempt, string(run.Done)
	if err != nil {
		entry.Outcome, entry.Error = string(run.Failed), err.Error()
	}
	return c.Audit.Write(entry)
}

func (c caller) entry(kind audit.Kind, call Call) audit.Entry {
	return audit.Entry{
		Kind: kind, Actor: call.Actor, Reason: call.Reason, Run: call.Run, Runbook: call.Runbook,
		Step: call.Step, Action: c.action.Name, Target: call.Target.ID, Params: call.With,
	}
}

func (a *Activities) changed(runID string) {
	if a.Changed != nil {
		a.Changed(runID)
	}
}

// coded gives an error the type by which the retry policy, the workflow and the
// metrics know it.
func coded(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	class := actions.ClassOf(err)
	return temporal.NewApplicationErrorWithOptions(err.Error(), string(class), temporal.ApplicationErrorOptions{
		NonRetryable: class == actions.ClassPermanent,
	})
}

const (
	// HeartbeatTimeout is how long an activity that beats may be silent.
	HeartbeatTimeout = 5 * time.Second
	heartbeatEvery   = time.Second
)

// Beat tells the server that the activity lives, so that a dead worker is
// noticed and a cancellation arrives. The function it returns ends it.
func Beat(ctx context.Context, details func() any) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-ticker.C:
				if details == nil {
					activity.RecordHeartbeat(ctx)
				} else {
					activity.RecordHeartbeat(ctx, details())
				}
			}
		}
	}()
	return func() { close(done) }
}

func duration(d model.Duration) time.Duration { return time.Duration(d) }
