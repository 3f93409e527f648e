package workflows

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Ledger is who may act, on what, and how often.
type Ledger interface {
	Apply(ctx context.Context, op ledger.Op) (ledger.Answer, error)
	// Hold proves that a run still has its lease. The context ends before the
	// lease can be another's; stop ends the renewing, and fails when the lease was
	// lost meanwhile.
	Hold(ctx context.Context, runID string, token int64) (held context.Context, stop func() error, err error)
}

// Decided is what is known before a run acts. Where it may, the first step is
// prepared in the same moment: an alert waits for nothing in between.
type Decided struct {
	Yes    bool   `json:"yes"`
	Reason string `json:"reason,omitempty"`
	// Until is when the question must be asked again: the alert has not been
	// firing for long enough, or the run is queued.
	Until    time.Time      `json:"until,omitzero"`
	Autonomy *run.Autonomy  `json:"autonomy,omitempty"`
	Admitted *run.Admission `json:"admitted,omitempty"`
	First    *Ready         `json:"first,omitempty"`
	// Drill is the drill that made the trouble, if one did.
	Drill string `json:"drill,omitempty"`
	// Guards are what the engine asks of each runbook; absent where that is nothing.
	Guards *runbooks.EngineGuards `json:"guards,omitempty"`
}

// Decide records the start of a run and answers whether it may act: its own
// condition, what it may do by itself, and the ledger.
func (a *Activities) Decide(ctx context.Context, q Question) (Decided, error) {
	defer a.changed(q.Plan.RunID())
	if !q.Again {
		if err := a.Audit.Write(startEntry(q.Plan)); err != nil {
			return Decided{}, err
		}
	}
	if q.Plan.Refusal != "" {
		return Decided{Reason: q.Plan.Refusal}, nil
	}
	moment := a.moment(q)
	if until, reason := a.fires(ctx, &q.Plan, moment.Now); reason != "" || !until.IsZero() {
		return Decided{Reason: reason, Until: until}, nil
	}
	yes, err := a.Evaluator.When(&q.Plan, moment)
	switch {
	case err != nil:
		return Decided{Reason: "its condition can not be answered: " + err.Error()}, nil
	case !yes:
		return Decided{Reason: "its condition is false: " + q.Plan.Document.When}, nil
	}
	return a.admit(ctx, q, moment)
}

func (a *Activities) admit(ctx context.Context, q Question, moment runbooks.Moment) (Decided, error) {
	d := Decided{Drill: a.drill(&q.Plan)}
	if !a.Guards.Empty() {
		d.Guards = &a.Guards
	}
	plan := q.Plan
	d.Autonomy = a.autonomy(ctx, &plan, moment)
	if d.Autonomy != nil {
		plan.Mode = modeOf(plan.Mode, d.Autonomy.Effective)
	}
	if d.Autonomy != nil && d.Autonomy.Effective == runbooks.Off {
		d.Reason = "it may not act: " + because(d.Autonomy)
		return d, nil
	}
	if plan.Mode != runbooks.ModeLive {
		d.Yes, d.First = true, a.ready(ctx, &plan, moment, 0)
		return d, nil
	}
	if told := q.Told; told != nil && told.State == ledger.Refused {
		d.queued(*told) // the ledger itself remembers no more than that it refused
		return d, a.noteRefusal(&plan, *told)
	}
	return d, a.lookAndAsk(ctx, &plan, moment, &d)
}

// lookAndAsk prepares the first step while the ledger decides: looking changes
// nothing, and a run that is admitted waits for less. Where the last one was not,
// as in a storm, nobody looks in vain.
func (a *Activities) lookAndAsk(ctx context.Context, p *runbooks.Plan, m runbooks.Moment, d *Decided) error {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	first := sync.OnceValue(func() *Ready { return a.ready(looking, p, m, 0) })
	if a.halted() == "" && !a.crowded.Load() {
		go func() {
			defer func() { _ = recover() }() // first panics again, for whoever asks it
			first()
		}()
	}
	if err := a.askLedger(ctx, p, m, d); err != nil {
		return err
	}
	d.Yes = d.Admitted.State == ledger.Admitted
	a.crowded.Store(!d.Yes)
	if d.Yes {
		d.First = first()
	}
	return nil
}

// modeOf is how a run goes on at a level. What is a dry run stays one.
func modeOf(mode runbooks.Mode, level runbooks.Level) runbooks.Mode {
	if mode == runbooks.ModeLive && level == runbooks.Propose {
		return runbooks.ModePropose
	}
	return mode
}

func because(a *run.Autonomy) string {
	text := "autonomy is " + string(a.Effective)
	for _, why := range a.Why {
		text += "; " + why
	}
	return text
}

// autonomy binds what acts by itself, not a person.
func (a *Activities) autonomy(ctx context.Context, p *runbooks.Plan, m runbooks.Moment) *run.Autonomy {
	if p.Source != runbooks.FromAlert {
		return nil
	}
	out := &run.Autonomy{Level: p.Document.Autonomy.Level, Effective: p.Document.Autonomy.Level}
	if a.Autonomy == nil {
		return out
	}
	var err error
	out.Effective, out.Why, err = a.Autonomy(ctx, p, m)
	if err != nil {
		out.Effective, out.Why = runbooks.Propose, []string{"what it may do by itself is not known: " + err.Error()}
	}
	return out
}

// askLedger asks for the run's turn. A halt that the ledger has not heard of
// yet holds as well.
func (a *Activities) askLedger(ctx context.Context, p *runbooks.Plan, m runbooks.Moment, d *Decided) error {
	if halted := a.halted(); halted != "" {
		d.queued(ledger.Answer{State: ledger.Queued, Guard: ledger.GuardHalt, Reason: halted, Again: m.Now.Add(haltAgain)})
		return nil
	}
	resource, err := a.Evaluator.Resource(p, m)
	if err != nil {
		answer := ledger.Answer{State: ledger.Refused, Guard: ledger.GuardResource, Reason: "what it must lock is not known: " + err.Error()}
		d.queued(answer)
		return a.noteRefusal(p, answer)
	}
	if a.Ledger == nil {
		d.Admitted = &run.Admission{State: ledger.Admitted}
		return nil
	}
	answer, err := a.Ledger.Apply(ctx, ledger.Op{Admit: a.admission(p, resource)})
	if err != nil {
		return fmt.Errorf("ask the ledger: %w", err)
	}
	d.queued(answer)
	return a.noteRefusal(p, answer)
}

func (d *Decided) queued(answer ledger.Answer) {
	d.Admitted = &run.Admission{
		State: answer.State, Guard: answer.Guard, Reason: answer.Reason, Token: answer.Token, Position: answer.Position,
	}
	switch answer.State {
	case ledger.Queued:
		d.Until = answer.Again
	case ledger.Refused:
		d.Reason = fmt.Sprintf("refused by %s: %s", answer.Guard, answer.Reason)
	}
}

// noteRefusal keeps in the audit file which guard it was.
func (a *Activities) noteRefusal(p *runbooks.Plan, answer ledger.Answer) error {
	if answer.State != ledger.Refused {
		return nil
	}
	return a.Audit.Write(refusalEntry(*p, "", answer.Guard, answer.Reason))
}

// noteSteps does the same for the steps that a guard kept from acting, or from
// going on.
func (a *Activities) noteSteps(c Conclusion) error {
	for _, s := range c.Run.Steps {
		if s.Guard == "" || s.WouldRun {
			continue
		}
		if err := a.Audit.Write(refusalEntry(c.Plan, s.ID, s.Guard, s.Reason)); err != nil {
			return err
		}
	}
	return nil
}

func refusalEntry(p runbooks.Plan, step string, guard ledger.Guard, reason string) audit.Entry {
	e := startEntry(p)
	e.Kind, e.Step, e.Decision, e.Reason = audit.Decision, step, "refused by "+string(guard), reason
	return e
}

func (a *Activities) admission(p *runbooks.Plan, resource string) *ledger.Admit {
	g := p.Document.Guards
	admit := &ledger.Admit{
		Run: p.RunID(), Runbook: p.Runbook, Source: string(p.Source), Resource: resource,
		OnConflict: g.OnConflict, Cooldown: g.Cooldown, EngineCooldown: a.Guards.Cooldown, Rate: g.Rate, Override: p.Override,
	}
	if p.Alert != nil {
		admit.Alert, admit.Severity = p.Alert.Name(), p.Alert.Labels["severity"]
	}
	if a.drill(p) != "" {
		// How often it acted lately says nothing of a drill, which may be repeated.
		admit.Override = append(slices.Clone(admit.Override), string(ledger.GuardCooldown), string(ledger.GuardRate))
	}
	return admit
}

// drill names the drill whose alert the run answers, and which is to prove its
// runbook.
func (a *Activities) drill(p *runbooks.Plan) string {
	if a.Tries == nil || p.Source != runbooks.FromAlert || p.Alert == nil {
		return ""
	}
	return a.Tries(p.Runbook, p.Alert.Labels)
}

// fires answers for how long the alert has been firing, and whether it still
// does, where the document asks.
func (a *Activities) fires(ctx context.Context, p *runbooks.Plan, now time.Time) (until time.Time, reason string) {
	if p.Document.For == 0 || p.Alert == nil {
		return time.Time{}, ""
	}
	if ripe := p.Alert.StartsAt.Add(duration(p.Document.For)); now.Before(ripe) {
		return ripe, ""
	}
	if a.Firing == nil {
		return time.Time{}, ""
	}
	firing, err := a.Firing(ctx, p.Alert)
	switch {
	case err != nil:
		return time.Time{}, "whether the alert still fires can not be found out: " + err.Error()
	case !firing:
		return time.Time{}, fmt.Sprintf("the alert no longer fires; it was to fire for %s", p.Document.For)
	}
	return time.Time{}, ""
}

// decide asks until there is an answer, or nothing more to ask about.
func (r *remediation) decide() bool {
	r.event("started", "", "", r.startText())
	began := workflow.Now(r.concluding)
	var told *ledger.Answer
	for again := false; ; {
		q := r.question(0)
		q.Again, q.Told = again, told
		var d Decided
		if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityDecide, q).Get(r.concluding, &d); err != nil {
			d = r.undecided(err, began)
		} else {
			again = true
		}
		r.note(d, began)
		switch {
		case r.stopped():
			r.conclude(run.Skipped, r.stop.reason)
			return false
		case d.Yes:
			r.first = d.First
			return true
		case d.Until.IsZero():
			r.conclude(run.Skipped, d.Reason)
			return false
		}
		told = r.await(d.Until)
	}
}

const (
	decideAgain  = 5 * time.Second
	decideWithin = time.Hour
)

// undecided: what is needed for a decision, such as the ledger or the audit file,
// does not answer. Nothing is done without it, and the alert is not lost: it is
// asked again, and in the end people are told.
func (r *remediation) undecided(err error, began time.Time) Decided {
	now := workflow.Now(r.concluding)
	reason := "can not decide: " + message(err)
	if now.Sub(began) >= decideWithin {
		r.mustEscalate = r.plan.Document.Escalate != nil
		return Decided{Reason: reason}
	}
	if r.undecidedFor != reason {
		r.undecidedFor = reason
		r.event("waiting", "", "", reason+"; asked again")
	}
	return Decided{Until: now.Add(decideAgain)}
}

// note keeps what was decided where people see it.
func (r *remediation) note(d Decided, began time.Time) {
	if d.Guards != nil {
		r.engine = *d.Guards
	}
	if d.Drill != "" && r.run.Drill == "" {
		r.run.Drill = d.Drill
		r.event("drill", "", "", "the alert is that of the drill "+d.Drill)
	}
	if d.Autonomy != nil {
		r.run.Autonomy = d.Autonomy
		r.plan.Mode = modeOf(r.plan.Mode, d.Autonomy.Effective)
		r.run.Mode = r.plan.Mode
	}
	if d.Admitted == nil {
		if !d.Until.IsZero() && r.undecidedFor == "" {
			r.event("waiting", "", "", fmt.Sprintf("waits until the alert has been firing for %s", r.plan.Document.For))
		}
		return
	}
	before := r.run.Admission
	r.run.Admission = d.Admitted
	if waited := workflow.Now(r.concluding).Sub(began); d.Admitted.State == ledger.Admitted && before != nil {
		d.Admitted.Waited = roundDuration(waited).String()
		r.event("admitted", "", "", "admitted after "+d.Admitted.Waited)
	}
	if d.Admitted.State == ledger.Queued && (before == nil || before.Reason != d.Admitted.Reason) {
		r.event("queued", "", "", fmt.Sprintf("queued by %s: %s", d.Admitted.Guard, d.Admitted.Reason))
	}
}

// await waits for a turn, an end, or the time at which to ask again. It gives
// what the ledger told meanwhile.
func (r *remediation) await(until time.Time) (told *ledger.Answer) {
	r.run.Phase = run.Admitting
	defer func() { r.run.Phase = run.Deciding }()
	pause := max(until.Sub(workflow.Now(r.concluding)), time.Second)
	ctx, stop := workflow.WithCancel(r.waiting)
	defer stop()
	selector := workflow.NewSelector(r.concluding)
	selector.AddFuture(workflow.NewTimer(ctx, pause), func(workflow.Future) {})
	selector.AddReceive(r.turn, func(c workflow.ReceiveChannel, _ bool) {
		told = &ledger.Answer{}
		c.Receive(r.concluding, told)
	})
	selector.AddReceive(r.waiting.Done(), func(workflow.ReceiveChannel, bool) {})
	selector.Select(r.concluding)
	return told
}

// keep holds the lease through a wait in which nothing is done.
func (r *remediation) keep(ctx workflow.Context, wait time.Duration) {
	token := r.token()
	if token == 0 {
		return
	}
	op := ledger.Op{Confirm: &ledger.Confirm{Run: r.run.ID, Token: token, Keep: model.Duration(wait)}}
	if err := workflow.ExecuteLocalActivity(local(ctx), ActivityLedger, op).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Warn("a lease could not be kept through a wait", "run", r.run.ID, "error", err)
	}
}

func (r *remediation) token() int64 {
	if r.run.Admission == nil {
		return 0
	}
	return r.run.Admission.Token
}

// release gives back what the run holds. A lease that can not be given back
// expires.
func (r *remediation) release() {
	if r.run.Admission == nil || r.run.Admission.State == ledger.Refused {
		return
	}
	op := ledger.Op{Release: &ledger.Release{Run: r.run.ID, Linger: r.uncertain, Acted: r.run.Acted()}}
	if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityLedger, op).Get(r.concluding, nil); err != nil {
		workflow.GetLogger(r.concluding).Error("a run could not give back its lease, which now has to expire", "run", r.run.ID, "error", err)
	}
}

// ApplyLedger is an operation on the ledger that asks nothing.
func (a *Activities) ApplyLedger(ctx context.Context, op ledger.Op) (ledger.Answer, error) {
	if a.Ledger == nil {
		return ledger.Answer{State: ledger.Admitted}, nil
	}
	return a.Ledger.Apply(ctx, op)
}
