package drills

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// Names of the activities.
const (
	ActivityClock     = "drill/clock"
	ActivityPlan      = "drill/plan"
	ActivityPreflight = "drill/preflight"
	ActivityInject    = "drill/inject"
	ActivityLook      = "drill/look"
	ActivityHeal      = "drill/heal"
	ActivityJudge     = "drill/judge"
	ActivityPage      = "drill/page"
	ActivityConclude  = "drill/conclude"
	ActivityHook      = "drill/hook"
)

// Activities is everything that a drill needs from outside its workflow.
type Activities struct {
	Faults    *chaos.Catalog
	Catalog   *actions.Catalog
	Evaluator *runbooks.Evaluator
	Audit     *audit.Log
	Ledger    workflows.Ledger
	// Halted is why the engine stands still, or "".
	Halted func() string
	// Plan resolves a game day of the engine's documents.
	Plan func(name string, control gameday.ControlRun) (gameday.Plan, error)
	// Checks are further questions of the pre-flight, which only the engine can
	// answer.
	Checks func(context.Context, gameday.Plan) []gameday.Check
	// Alerts are those that Alertmanager has, firing or suppressed.
	Alerts func(context.Context) ([]gameday.Alert, error)
	// Pending are the labels of those that Prometheus holds back until they have
	// lasted; nil where there is none to ask.
	Pending func(context.Context) ([]map[string]string, error)
	// Runs are what runbooks and people did since a time.
	Runs func(ctx context.Context, since time.Time) ([]gameday.Run, []gameday.Intervention, error)
	// Hook tells an outside system; connection names it.
	Hook func(context.Context, HookCall) error
	// Concluded is told how a drill ended. It may be told twice.
	Concluded func(Result)
}

// FaultCall is one use of a fault.
type FaultCall struct {
	Drill    string            `json:"drill"`
	By       string            `json:"by"`
	Gameday  string            `json:"gameday"`
	Fault    gameday.PlanFault `json:"fault"`
	ID       string            `json:"id"`
	Deadline time.Time         `json:"deadline"`
	Limits   chaos.Limits      `json:"limits"`
}

// Injected is what came of an injection.
type Injected struct {
	At      time.Time `json:"at"`
	Targets []string  `json:"targets"`
	Tries   int       `json:"tries"`
}

// Healed is the proof of a healing.
type Healed struct {
	At    time.Time `json:"at"`
	Proof string    `json:"proof"`
}

// Result is a drill when all is done.
type Result struct {
	ID      string          `json:"id"`
	By      string          `json:"by"`
	Plan    gameday.Plan    `json:"plan"`
	Verdict verdict.Verdict `json:"verdict"`
	Token   int64           `json:"token,omitempty"`
	Ended   time.Time       `json:"ended"`
}

// HookCall is what an outside system is told.
type HookCall struct {
	Drill   string        `json:"drill"`
	Gameday string        `json:"gameday"`
	Event   string        `json:"event"` // start, injected, abort, heal or end
	At      time.Time     `json:"at"`
	Why     string        `json:"why,omitempty"` // it was aborted
	Verdict string        `json:"verdict,omitempty"`
	Hooks   gameday.Hooks `json:"hooks"`
}

// Register makes a worker able to carry out drills.
func Register(w worker.Registry, a *Activities) {
	w.RegisterWorkflowWithOptions(Gameday, workflow.RegisterOptions{Name: Type})
	for name, f := range map[string]any{
		ActivityClock: a.Clock, ActivityPlan: a.MakePlan, ActivityPreflight: a.Preflight, ActivityInject: a.Inject, ActivityLook: a.Look, ActivityHeal: a.Heal,
		ActivityJudge: a.Judge, ActivityPage: a.Page, ActivityConclude: a.Conclude, ActivityHook: a.TellHook,
	} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// Clock is the time of the engine.
func (a *Activities) Clock(context.Context) (time.Time, error) { return time.Now(), nil }

// MakePlan resolves the game day as it is now, for a drill that nobody else has
// put on record.
func (a *Activities) MakePlan(_ context.Context, q Request) (gameday.Plan, error) {
	p, err := a.Plan(q.Gameday, q.Control)
	if err != nil {
		return p, permanent(err)
	}
	entry := audit.Entry{Kind: audit.Started, Actor: q.By, Run: q.ID, Runbook: p.Gameday, Digest: p.Digest, Decision: "game day"}
	if err := a.Audit.Write(entry); err != nil {
		return p, fmt.Errorf("record the start of the drill: %w", err)
	}
	return p, nil
}

// Inject brings a fault about, on targets that were counted the moment before.
func (a *Activities) Inject(ctx context.Context, c FaultCall) (Injected, error) {
	defer workflows.Beat(ctx, nil)()
	out := Injected{Tries: int(activity.GetInfo(ctx).Attempt)}
	if halted := a.Halted(); halted != "" {
		return out, permanent(errors.New(halted))
	}
	bound, err := a.bind(c.Fault)
	if err != nil {
		return out, err
	}
	selection, err := bound.Targets(ctx)
	if err != nil {
		return out, fmt.Errorf("select the targets of %s: %w", c.Fault.ID, err)
	}
	if err := c.Limits.Check(selection, time.Duration(c.Fault.For)); err != nil {
		return out, permanent(fmt.Errorf("fault %s: %w", c.Fault.ID, err))
	}
	out.Targets = selection.IDs()
	if err := a.alone(ctx, c.Drill); err != nil {
		return out, err
	}
	if err := a.Audit.Write(c.entry(audit.Acting, out.Targets)); err != nil {
		return out, err
	}
	err = bound.Inject(ctx, chaos.ID(c.ID), c.Deadline)
	out.At = time.Now()
	if err == nil {
		// Of two that begin at the same moment, one at least sees the other now.
		err = a.alone(ctx, c.Drill)
	}
	return out, coded(err)
}

const aloneWithin = 2 * time.Second

// alone is an error when a fault of another drill is in a system, whose work could
// be taken for that of this drill. The pre-flight has asked before; a system that
// gives no answer now may be under a fault of this drill.
func (a *Activities) alone(ctx context.Context, drill string) error {
	ctx, cancel := context.WithTimeout(ctx, aloneWithin)
	defer cancel()
	others, _ := a.others(ctx, drill)
	if len(others) > 0 {
		return permanent(fmt.Errorf("another drill began meanwhile: %s is in a system", others[0]))
	}
	return nil
}

// others are the faults that do not belong to a drill.
func (a *Activities) others(ctx context.Context, drill string) ([]chaos.Injection, error) {
	active, err := a.Faults.Active(ctx)
	own := chaos.Owner(drill)
	return slices.DeleteFunc(active, func(i chaos.Injection) bool { return i.Owner == own }), err
}

// Heal ends a fault and reads back that nothing of it is left.
func (a *Activities) Heal(ctx context.Context, c FaultCall) (Healed, error) {
	defer workflows.Beat(ctx, nil)()
	bound, err := a.bind(c.Fault)
	if err != nil {
		return Healed{}, err
	}
	if err := bound.Recover(ctx, chaos.ID(c.ID)); err != nil {
		return Healed{}, fmt.Errorf("heal %s: %w", c.Fault.ID, err)
	}
	if err := bound.Healed(ctx, chaos.ID(c.ID)); err != nil {
		return Healed{}, fmt.Errorf("read back that %s is healed: %w", c.Fault.ID, err)
	}
	entry := c.entry(audit.Undone, nil)
	if err := a.Audit.Write(entry); err != nil {
		activity.GetLogger(ctx).Error("the audit line of a healing is lost", "error", err, "drill", c.Drill)
	}
	proof := c.Fault.Inject + " finds nothing left of " + c.ID
	if bound.OneShot {
		proof = c.Fault.Inject + " is over once it happened"
	}
	return Healed{At: time.Now(), Proof: proof}, nil
}

func (c FaultCall) entry(kind audit.Kind, targets []string) audit.Entry {
	e := audit.Entry{
		Kind: kind, Actor: c.By, Run: c.Drill, Runbook: c.Gameday, Reason: "game day",
		Step: c.Fault.ID, Action: c.Fault.Inject, Params: c.Fault.With,
	}
	if len(targets) > 0 {
		e.Target = fmt.Sprint(targets)
	}
	return e
}

func (a *Activities) bind(f gameday.PlanFault) (chaos.Bound, error) {
	fault, known := a.Faults.Get(f.Inject)
	if !known {
		return chaos.Bound{}, permanent(fmt.Errorf("this engine has no fault %q", f.Inject))
	}
	bound, problems := fault.Bind(f.With)
	if err := problems.Err(); err != nil {
		return bound, permanent(fmt.Errorf("parameters of %s: %w", f.Inject, err))
	}
	return bound, nil
}

// Judge says what the evidence shows.
func (a *Activities) Judge(_ context.Context, p gameday.Plan, e gameday.Evidence) (verdict.Verdict, error) {
	return verdict.Judge(p, e), nil
}

// Conclude keeps the proof, gives back the lock and records the end.
func (a *Activities) Conclude(ctx context.Context, r Result) error {
	if r.Token != 0 {
		if _, err := a.Ledger.Apply(ctx, ledger.Op{Release: &ledger.Release{Run: r.ID}}); err != nil {
			return fmt.Errorf("give back the lock of the drill: %w", err)
		}
	}
	if r.Verdict.Proof && r.Plan.Proves != nil {
		if _, err := a.Ledger.Apply(ctx, ledger.Op{Prove: r.proof()}); err != nil {
			return fmt.Errorf("keep the proof: %w", err)
		}
	}
	if a.Concluded != nil {
		a.Concluded(r)
	}
	return a.Audit.Write(audit.Entry{
		Kind: audit.Concluded, Actor: r.By, Run: r.ID, Runbook: r.Plan.Gameday, Digest: r.Plan.Digest,
		Outcome: string(r.Verdict.Verdict), Reason: r.Verdict.Reasons[0].Text,
	})
}

func (r Result) proof() *ledger.Proof {
	p := &ledger.Proof{
		Runbook: r.Plan.Proves.Runbook, Digest: r.Plan.Proves.Digest, Gameday: r.Plan.Gameday,
		Verdict: string(r.Verdict.Verdict), At: r.Ended,
	}
	if t := r.Verdict.Figures.TimeToRecover; t != nil {
		p.Recovery = *t
	}
	return p
}

// TellHook tells an outside system where the drill is.
func (a *Activities) TellHook(ctx context.Context, h HookCall) error { return a.Hook(ctx, h) }

// Page is what people are told about faults that could not be healed.
func (a *Activities) Page(_ context.Context, id string, p gameday.Plan, left []gameday.Injection) (workflows.Message, error) {
	m := workflows.Message{
		Kind: "heal_failed", Severity: "page",
		Summary: fmt.Sprintf("Game day %s could not heal %d of its faults. They are in the system until somebody ends them.", p.Gameday, len(left)),
	}
	for _, i := range left {
		m.Story += fmt.Sprintf("%s (injected as %s, ends by itself at %s): %s\n", i.Fault, i.ID, i.Deadline.UTC().Format(time.RFC3339), i.HealError)
	}
	m.Story += "What to do: runbook gameday heal --all; then look at the targets by hand: " + targets(left) +
		". When they are well: runbook gameday settle " + id + " --reason TEXT"
	with, err := json.Marshal(map[string]any{
		"alertname": "RunbookHealFailed",
		"labels":    map[string]string{"severity": m.Severity, runbooks.OwnLabel: runbooks.OwnValue, "gameday": p.Gameday, "drill": "true"},
		"annotations": map[string]string{
			"summary": m.Summary, "description": m.Story, "drill": id, "heal": "runbook gameday heal --all",
			"settle": "runbook gameday settle " + id + " --reason TEXT",
		},
	})
	m.With = with
	return m, err
}

func targets(left []gameday.Injection) (text string) {
	for _, i := range left {
		text += fmt.Sprint(i.Targets)
	}
	return text
}

func permanent(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), string(actions.ClassPermanent), nil)
}

// coded keeps what can not succeed from being tried again.
func coded(err error) error {
	if err != nil && actions.ClassOf(err) == actions.ClassPermanent {
		return permanent(err)
	}
	return err
}

// message is an error without the wrapping of Temporal, for people.
func message(err error) string {
	var app *temporal.ApplicationError
	var timeout *temporal.TimeoutError
	switch {
	case errors.As(err, &timeout):
		return fmt.Sprintf("no answer in time (%s)", timeout.TimeoutType())
	case errors.As(err, &app):
		return app.Message()
	default:
		return err.Error()
	}
}
