package workflows

import (
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Names by which a run is reached.
const (
	RemediateType  = "Remediate"
	QueryRun       = "run"
	SignalResolved = "resolved" // the alert ended: Resolution
	SignalCancel   = "cancel"   // a person says stop: CancelRequest
	SignalFiring   = "firing"   // the alert fires again: Relapse
	SignalDecision = "decision" // a person consents, or does not: Decision
	SignalAdmitted = "admitted" // the ledger says that a queued run's turn has come: ledger.Answer

	AttrRunbook     = "RunbookName"
	AttrSource      = "RunbookSource"
	AttrMode        = "RunbookMode"
	AttrOutcome     = "RunbookOutcome"
	AttrReason      = "RunbookReason" // of the outcome, cut to size
	AttrFingerprint = "RunbookAlertFingerprint"
	AttrAlertStart  = "RunbookAlertStart"
)

// The typed keys of the search attributes.
var (
	KeyRunbook     = temporal.NewSearchAttributeKeyKeyword(AttrRunbook)
	KeySource      = temporal.NewSearchAttributeKeyKeyword(AttrSource)
	KeyMode        = temporal.NewSearchAttributeKeyKeyword(AttrMode)
	KeyOutcome     = temporal.NewSearchAttributeKeyKeyword(AttrOutcome)
	KeyReason      = temporal.NewSearchAttributeKeyKeyword(AttrReason)
	KeyFingerprint = temporal.NewSearchAttributeKeyKeyword(AttrFingerprint)
	KeyAlertStart  = temporal.NewSearchAttributeKeyTime(AttrAlertStart)
)

// SearchAttributes are what a namespace must have registered.
func SearchAttributes() map[string]enumspb.IndexedValueType {
	keyword := enumspb.INDEXED_VALUE_TYPE_KEYWORD
	return map[string]enumspb.IndexedValueType{
		AttrRunbook: keyword, AttrSource: keyword, AttrMode: keyword, AttrOutcome: keyword, AttrReason: keyword, AttrFingerprint: keyword,
		AttrAlertStart: enumspb.INDEXED_VALUE_TYPE_DATETIME,
	}
}

// Resolution says that the alert of a run has ended.
type Resolution struct {
	EndsAt time.Time `json:"ends_at"`
}

// Relapse says that the alert of a run fires again.
type Relapse struct {
	StartsAt time.Time `json:"starts_at"`
}

// CancelRequest is a person's wish to stop a run.
type CancelRequest struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
	Undo   bool   `json:"undo"`
}

// Decision is a person's answer to a run that asks for consent. Who may give it
// is checked before it is sent, and again by the run.
type Decision struct {
	By      string   `json:"by"`
	Roles   []string `json:"roles,omitempty"`
	Approve bool     `json:"approve"`
	// Limited: they may consent to some targets only, and so to no later step.
	Limited bool   `json:"limited,omitempty"`
	Reason  string `json:"reason"`
}

// Remediate is one run: it decides, acts, verifies and concludes, as the plan
// says. It keeps its state for the query QueryRun and returns it.
func Remediate(ctx workflow.Context, plan runbooks.Plan) (run.Run, error) {
	r := newRemediation(ctx, plan)
	if err := workflow.SetQueryHandler(ctx, QueryRun, func() (run.Run, error) { return *r.run, nil }); err != nil {
		return run.Run{}, fmt.Errorf("answer queries: %w", err)
	}
	r.listen(ctx)
	r.carryOut()
	return *r.run, nil
}

// remediation is a run under way. Everything in it lives on the workflow's one
// logical thread.
type remediation struct {
	plan   *runbooks.Plan
	engine runbooks.EngineGuards // in force when it was decided
	run    *run.Run
	facts  map[string]runbooks.Facts
	done   []undoable
	first  *Ready  // the first step, as it was prepared with the decision
	read   *Answer // of the step under way, where preparing it has read it

	working         []string  // targets that the ledger has as under remedy
	counted         time.Time // when the selection of the step under way was asked for
	members         *ledger.Members
	uncertain       bool         // an action of it may still be under way
	consentedTo     actions.Risk // the worst step that people consented to
	undecidedFor    string       // why there is no decision yet
	questions       int          // how often people were asked
	unwilling       string       // why people did not
	mustEscalate    bool         // nobody answered, and the document says what then
	ended           string       // why no step is begun any more: the alert is over
	relapses        int          // how often the alert ended and fired again
	alertOver       bool         // by what Alertmanager said last
	timeUp          string       // why the remedy under way begins nothing more
	turn, decisions workflow.ReceiveChannel

	failed  []string // steps that failed
	leftOut []string // steps that a dry run left out
	stop    *stop

	// acting ends when a person says stop, waiting also when the alert ends. The
	// conclusion is under neither.
	acting, waiting, concluding workflow.Context
	stopActing, stopWaiting     workflow.CancelFunc
}

// stop is why a run ends early.
type stop struct {
	reason string
	undo   bool
}

type undoable struct {
	step   int
	target actions.Target
	with   []byte
}

func newRemediation(ctx workflow.Context, plan runbooks.Plan) *remediation {
	r := &remediation{plan: &plan, facts: map[string]runbooks.Facts{}}
	r.run = &run.Run{
		Override: plan.Override,
		ID:       plan.RunID(), Runbook: plan.Runbook, Digest: plan.Digest, Source: plan.Source, Mode: plan.Mode,
		Actor: plan.Actor, Reason: plan.Reason, Params: plan.Params, Alert: plan.Alert,
		Status: run.Running, Phase: run.Deciding, StartedAt: workflow.GetInfo(ctx).WorkflowStartTime,
	}
	for _, s := range plan.Document.AllSteps() {
		r.run.Steps = append(r.run.Steps, run.Step{ID: s.ID, Do: s.Do, Doc: s.Doc, Status: run.Pending})
	}
	r.acting, r.stopActing = workflow.WithCancel(ctx)
	r.waiting, r.stopWaiting = workflow.WithCancel(r.acting)
	r.concluding, _ = workflow.NewDisconnectedContext(ctx)
	return r
}

// listen takes the signals. What came before the run began is taken first.
func (r *remediation) listen(ctx workflow.Context) {
	resolved := workflow.GetSignalChannel(ctx, SignalResolved)
	cancel, firing := workflow.GetSignalChannel(ctx, SignalCancel), workflow.GetSignalChannel(ctx, SignalFiring)
	r.turn, r.decisions = workflow.GetSignalChannel(ctx, SignalAdmitted), workflow.GetSignalChannel(ctx, SignalDecision)
	var end Resolution
	if resolved.ReceiveAsync(&end) {
		r.alertOver = true
		r.stop = &stop{reason: "the alert had ended before the run began"}
	}
	workflow.Go(ctx, func(ctx workflow.Context) {
		for {
			selector := workflow.NewSelector(ctx)
			selector.AddReceive(resolved, func(c workflow.ReceiveChannel, _ bool) {
				var end Resolution
				c.Receive(ctx, &end)
				r.resolved(ctx)
			})
			selector.AddReceive(firing, func(c workflow.ReceiveChannel, _ bool) {
				c.Receive(ctx, nil)
				r.relapses++
				r.alertOver = false
				r.event("firing", "", "", "the alert fires again")
			})
			selector.AddReceive(cancel, func(c workflow.ReceiveChannel, _ bool) {
				var request CancelRequest
				c.Receive(ctx, &request)
				r.cancelled(request)
			})
			selector.Select(ctx)
		}
	})
}

// resolved takes the alert as over, at once or when it has stayed resolved for
// long enough.
func (r *remediation) resolved(ctx workflow.Context) {
	r.alertOver = true
	delay := duration(r.plan.Document.HealthyDelay)
	if delay == 0 {
		r.over("the alert ended")
		return
	}
	r.event("resolved", "", "", fmt.Sprintf("the alert ended; it counts as over when it stays so for %s", delay))
	relapses := r.relapses
	workflow.Go(ctx, func(ctx workflow.Context) {
		if workflow.Sleep(ctx, delay) == nil && r.relapses == relapses {
			r.over("the alert ended")
		}
	})
}

// noLonger: the alert was found to be over before a step. A run that is to finish
// begins no further step, and verifies what it did.
func (r *remediation) noLonger(reason string) {
	r.ended = reason
	r.over(reason)
}

// over does what on_resolve says.
func (r *remediation) over(reason string) {
	policy := r.plan.Document.OnResolve
	r.event("resolved", "", "", reason+"; on_resolve says "+policy)
	if r.stop != nil || r.run.Phase == run.Concluding {
		return
	}
	if policy == "finish" {
		return
	}
	r.stop = &stop{reason: reason, undo: policy == "undo"}
	r.stopWaiting()
}

func (r *remediation) cancelled(request CancelRequest) {
	text := fmt.Sprintf("%s asked to stop", request.By)
	if request.Reason != "" {
		text += ": " + request.Reason
	}
	r.event("cancel", "", "", text)
	if r.run.Phase == run.Concluding {
		return
	}
	r.stop = &stop{reason: text, undo: request.Undo}
	r.stopActing()
}

// stopped reports that the run must not begin anything more.
func (r *remediation) stopped() bool {
	if r.stop == nil && r.acting.Err() != nil {
		r.stop = &stop{reason: "the workflow was cancelled in Temporal"}
	}
	return r.stop != nil
}

func (r *remediation) carryOut() {
	told, released := r.tellOverride(), func() {}
	if r.decide() {
		var letGo func()
		letGo, released = r.hold()
		r.act()
		letGo()
	}
	r.run.Phase = run.Concluding
	if r.run.Outcome == "" {
		r.run.Outcome, r.run.OutcomeReason = r.outcome()
	}
	r.event("outcome", "", "", outcomeText(r.run))
	r.undo()
	r.tell()
	r.release()
	told()
	released()
	r.end()
	r.record()
}

func outcomeText(r *run.Run) string {
	if r.OutcomeReason == "" {
		return string(r.Outcome)
	}
	return fmt.Sprintf("%s: %s", r.Outcome, r.OutcomeReason)
}

func (r *remediation) startText() string {
	switch {
	case r.plan.Alert != nil:
		return fmt.Sprintf("%s started for alert %s, firing since %s", r.run.Runbook, r.plan.Alert.Name(),
			r.plan.Alert.StartsAt.UTC().Format("15:04:05.000"))
	default:
		return fmt.Sprintf("%s started by %s", r.run.Runbook, r.run.Actor)
	}
}

func (r *remediation) conclude(outcome run.Outcome, reason string) {
	r.run.Outcome, r.run.OutcomeReason = outcome, reason
}

func (r *remediation) end() {
	now := workflow.Now(r.concluding)
	r.run.Status, r.run.Phase, r.run.EndedAt = run.Ended, "", &now
}

// record makes the end of the run known: to searches, metrics and the audit.
// What is done is done: a record that fails is logged, and fails no run.
func (r *remediation) record() {
	err := errors.Join(
		workflow.UpsertTypedSearchAttributes(r.concluding, KeyOutcome.ValueSet(string(r.run.Outcome)), KeyReason.ValueSet(Listed(r.run.OutcomeReason)),
			KeyMode.ValueSet(string(r.run.Mode))),
		workflow.ExecuteLocalActivity(local(r.concluding), ActivityConclude, r.conclusion()).Get(r.concluding, nil),
	)
	if err != nil {
		workflow.GetLogger(r.concluding).Error("the end of a run is not fully recorded", "run", r.run.ID, "error", err)
	}
}

func (r *remediation) conclusion() Conclusion { return Conclusion{Plan: *r.plan, Run: *r.run} }

func (r *remediation) question(step int) Question {
	return Question{Plan: *r.plan, Step: step, Moment: runbooks.Moment{
		Now: workflow.Now(r.concluding), Steps: r.facts, Failed: r.failed, LeftOut: r.leftOut,
	}}
}

const maxEvents = 1000

func (r *remediation) event(kind, step, target, text string) {
	r.eventAt(r.following(workflow.Now(r.concluding)), kind, step, target, text)
}

// following is not before the last event: a workflow's clock stands still within a
// task, and what activities tell has times of their own.
func (r *remediation) following(at time.Time) time.Time {
	if n := len(r.run.Events); n > 0 && r.run.Events[n-1].At.After(at) {
		return r.run.Events[n-1].At
	}
	return at
}

func (r *remediation) eventAt(at time.Time, kind, step, target, text string) {
	if len(r.run.Events) >= maxEvents {
		return
	}
	r.run.Events = append(r.run.Events, run.Event{
		Seq: len(r.run.Events) + 1, At: at, Kind: kind, Step: step, Target: target, Text: text,
	})
}
