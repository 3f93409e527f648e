package workflows

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Question is what a run asks before it goes on. Conditions are evaluated here
// and not in workflow code, because expr is not deterministic.
type Question struct {
	Plan   runbooks.Plan   `json:"plan"`
	Moment runbooks.Moment `json:"moment"`
	Step   int             `json:"step"`
}

// Decided is the answer of a runbook's own condition, and where that is yes the
// first step prepared in the same moment: an alert waits for nothing in between.
type Decided struct {
	Yes    bool               `json:"yes"`
	Reason string             `json:"reason,omitempty"`
	First  *runbooks.Prepared `json:"first,omitempty"`
}

func (a *Activities) moment(q Question) runbooks.Moment {
	m := q.Moment
	if a.Windows != nil {
		m.Windows = a.Windows(m.Now)
	}
	return m
}

// Decide records the start of a run and answers its condition.
func (a *Activities) Decide(_ context.Context, q Question) (Decided, error) {
	defer a.changed(q.Plan.RunID())
	if err := a.Audit.Write(startEntry(q.Plan)); err != nil {
		return Decided{}, err
	}
	if q.Plan.Refusal != "" {
		return Decided{Reason: q.Plan.Refusal}, nil
	}
	moment := a.moment(q)
	yes, err := a.Evaluator.When(&q.Plan, moment)
	switch {
	case err != nil:
		return Decided{Reason: "its condition can not be answered: " + err.Error()}, nil
	case !yes:
		return Decided{Reason: "its condition is false: " + q.Plan.Document.When}, nil
	}
	first := a.Evaluator.Prepare(&q.Plan, moment, 0)
	return Decided{Yes: true, First: &first}, nil
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

// Prepare answers a step's condition and fills in its parameters.
func (a *Activities) Prepare(_ context.Context, q Question) (runbooks.Prepared, error) {
	defer a.changed(q.Plan.RunID())
	return a.Evaluator.Prepare(&q.Plan, a.moment(q), q.Step), nil
}

// CheckQuestion asks for the parameters of a check.
type CheckQuestion struct {
	Question
	Check runbooks.Check `json:"check"`
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
	return Watch{Run: q.Plan.RunID(), With: with, Until: q.Check.Until, Every: q.Check.Every, Hold: q.Check.Hold}
}

// Checked is what a check saw and what it means.
type Checked struct {
	Seen    Seen        `json:"seen"`
	Outcome run.Outcome `json:"outcome"`
	Reason  string      `json:"reason"`
}

// Conclusion is a run with its plan, when all is done.
type Conclusion struct {
	Plan runbooks.Plan `json:"plan"`
	Run  run.Run       `json:"run"`
}

// Conclude records how a run ended.
func (a *Activities) Conclude(_ context.Context, c Conclusion) error {
	defer a.changed(c.Run.ID)
	if a.Concluded != nil {
		a.Concluded(c.Run)
	}
	e := startEntry(c.Plan)
	e.Kind, e.Outcome, e.Reason, e.Time = audit.Concluded, string(c.Run.Outcome), c.Run.OutcomeReason, time.Time{}
	return a.Audit.Write(e)
}

// Summarise writes the alert that tells people about a run.
func (a *Activities) Summarise(_ context.Context, c Conclusion) (Message, error) {
	return a.message(c)
}
