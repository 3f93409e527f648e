package workflows

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Question is what a run asks before it goes on. Conditions are evaluated here
// and not in workflow code, because expr is not deterministic.
type Question struct {
	Plan   runbooks.Plan   `json:"plan"`
	Moment runbooks.Moment `json:"moment"`
	Step   int             `json:"step"`
	// Again: it was asked before.
	Again bool `json:"again,omitempty"`
	// Told is what the ledger said since the question was asked last.
	Told *ledger.Answer `json:"told,omitempty"`
}

func (a *Activities) moment(q Question) runbooks.Moment {
	m := q.Moment
	if a.Windows != nil {
		m.Windows = a.Windows(m.Now)
	}
	return m
}

func startEntry(p runbooks.Plan) audit.Entry {
	e := audit.Entry{
		Kind: audit.Started, Actor: p.Actor, Reason: p.Reason, Run: p.RunID(), Runbook: p.Runbook, Digest: p.Digest,
		Episode: p.Episode, Decision: string(p.Mode),
	}
	if p.Alert != nil {
		e.Alert = p.Alert.Name()
	}
	return e
}

// Ready is a step that is prepared, unless the engine stands still or the alert
// is over. Answer is what a step that only reads was told, where the answer came
// at once.
type Ready struct {
	runbooks.Prepared
	Answer *Answer `json:"answer,omitempty"`
	Halted string  `json:"halted,omitempty"`
	Over   string  `json:"over,omitempty"`
}

// Prepare answers a step's condition and fills in its parameters. A dry run
// changes nothing, and people look before they say that the engine may go on.
func (a *Activities) Prepare(ctx context.Context, q Question) (Ready, error) {
	defer a.changed(q.Plan.RunID())
	if reason := a.halted(); reason != "" && q.Plan.Mode != runbooks.ModeDryRun {
		return Ready{Halted: reason}, nil
	}
	moment := a.moment(q)
	if _, reason := a.fires(ctx, &q.Plan, moment.Now); reason != "" {
		return Ready{Over: reason}, nil
	}
	return *a.ready(ctx, &q.Plan, moment, q.Step), nil
}

// ready prepares a step and, where it only reads one thing, reads it: most
// answers come at once, and the run has nothing else to do meanwhile. What takes
// longer or fails is left to an activity, with its retries.
func (a *Activities) ready(ctx context.Context, p *runbooks.Plan, m runbooks.Moment, step int) *Ready {
	ready := &Ready{Prepared: a.Evaluator.Prepare(p, m, step)}
	s := p.Document.AllSteps()[step]
	action, known := a.Catalog.Get(s.Do)
	if !known || !ready.Run || ready.Undecided || ready.Idle || ready.Target == nil || ready.Risk.Writes() {
		return ready
	}
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	answer, err := caller{a, action}.run(ctx, callOf(p, s.ID, *ready.Target, ready.With))
	if err == nil {
		ready.Answer = &answer
	}
	return ready
}

// CheckQuestion asks for the parameters of a check.
type CheckQuestion struct {
	Question
	Check runbooks.Check `json:"check"`
	Token int64          `json:"token,omitempty"`
}

// Looked is a check with its parameters, and what a first look saw where the
// probe answered at once.
type Looked struct {
	runbooks.Prepared
	Seen *Seen `json:"seen,omitempty"`
}

// firstLook is how long the first look may take. A run hears nothing meanwhile.
const firstLook = time.Second

// PrepareCheck fills in the parameters of a check and looks once: most systems
// are better at once, or it is a dry run, and then there is nothing to wait for.
func (a *Activities) PrepareCheck(ctx context.Context, q CheckQuestion) (Looked, error) {
	looked := Looked{Prepared: a.Evaluator.PrepareCheck(&q.Plan, a.moment(q.Question), q.Step, &q.Check)}
	action, known := a.Catalog.Get(q.Check.Do)
	if looked.Failed || !known {
		return looked, nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	w, err := caller{a, action}.watcher(q.watch(looked.With))
	if err != nil {
		return looked, err
	}
	w.look(ctx)
	if ctx.Err() == nil {
		seen := w.end()
		looked.Seen = &seen
	}
	return looked, nil
}

func (q CheckQuestion) watch(with json.RawMessage) Watch {
	return Watch{Run: q.Plan.RunID(), Token: q.Token, With: with, Until: q.Check.Until, Worse: q.Check.Worse, Every: q.Check.Every, Hold: q.Check.Hold}
}

// Checked is what a check saw and what it means.
type Checked struct {
	Seen    Seen        `json:"seen"`
	Outcome run.Outcome `json:"outcome"`
	Reason  string      `json:"reason"`
}

// Conclusion is a run with its plan, when all is done.
type Conclusion struct {
	Kind string        `json:"kind,omitempty"` // of the message, where it is not that of the end
	Plan runbooks.Plan `json:"plan"`
	Run  run.Run       `json:"run"`
}

// Conclude records how a run ended.
func (a *Activities) Conclude(_ context.Context, c Conclusion) error {
	defer a.changed(c.Run.ID)
	if a.Concluded != nil {
		a.Concluded(c.Run)
	}
	if err := a.noteSteps(c); err != nil {
		return err
	}
	e := startEntry(c.Plan)
	e.Kind, e.Outcome, e.Reason, e.Time = audit.Concluded, string(c.Run.Outcome), c.Run.OutcomeReason, time.Time{}
	return a.Audit.Write(e)
}

// Summarise writes the alert that tells people about a run.
func (a *Activities) Summarise(_ context.Context, c Conclusion) (Message, error) {
	return a.message(c)
}
