package runbooks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

// Evaluator answers the questions that a run asks of its plan. It keeps what it
// compiled. It is not for workflow code.
type Evaluator struct {
	catalog  *actions.Catalog
	programs expression.Cache
}

// NewEvaluator evaluates over the actions of a catalog.
func NewEvaluator(catalog *actions.Catalog) *Evaluator {
	return &Evaluator{catalog: catalog}
}

// Prepared is a step that is ready to act: its parameters are known and valid.
type Prepared struct {
	Run    bool            `json:"run"`
	Reason string          `json:"reason,omitempty"` // why it does not run
	Failed bool            `json:"failed,omitempty"` // it does not run because a question had no answer
	With   json.RawMessage `json:"with,omitempty"`
	// Undecided: whether it runs depends on a step that a dry run left out.
	Undecided bool `json:"undecided,omitempty"`

	Risk     actions.Risk    `json:"risk,omitempty"`
	Target   *actions.Target `json:"target,omitempty"` // of an action that does not select
	Once     bool            `json:"once,omitempty"`
	Undoes   bool            `json:"undoes,omitempty"`
	Parallel int             `json:"parallel,omitempty"`
	Limit    model.Duration  `json:"limit,omitempty"`
	Idle     bool            `json:"idle,omitempty"`
	Asks     bool            `json:"asks,omitempty"` // a dry run can ask the system
	// Covers are the later steps that change something and are no riskier: a
	// consent to this one is for them too.
	Covers []string `json:"covers,omitempty"`
}

// When answers the runbook's own condition.
func (e *Evaluator) When(p *Plan, m Moment) (bool, error) {
	if p.Document.When == "" {
		return true, nil
	}
	return e.condition(p, m, 0, p.Document.When)
}

// Prepare answers a step's condition and fills in its parameters.
func (e *Evaluator) Prepare(p *Plan, m Moment, step int) Prepared {
	s := p.Document.AllSteps()[step]
	if len(m.Failed) > 0 && !asksAbout(s.If, m.Failed) {
		return Prepared{Reason: fmt.Sprintf("step %s %s, and this step does not ask about it", m.Failed[0], m.Steps[m.Failed[0]].failure())}
	}
	if missing := dependsOn(m, s.If); missing != "" {
		return e.undecided(p, m, step, missing)
	}
	if s.If != "" {
		yes, err := e.condition(p, m, step, s.If)
		if err != nil {
			return Prepared{Reason: err.Error(), Failed: true}
		}
		if !yes {
			return Prepared{Reason: "its condition is false: " + s.If}
		}
	}
	if missing := dependsOn(m, expression.Sources(map[string]any(s.With))...); missing != "" {
		return e.undecided(p, m, step, missing)
	}
	prepared, err := e.bind(p, m, step, s.Do, s.With)
	if err != nil {
		return Prepared{Reason: err.Error(), Failed: true}
	}
	prepared.Covers = e.noRiskier(p.Document.AllSteps()[step+1:], prepared.Risk)
	return prepared
}

// noRiskier are those of some steps that change something, at no higher risk.
func (e *Evaluator) noRiskier(steps []Step, risk actions.Risk) (ids []string) {
	for _, s := range steps {
		action, known := e.catalog.Get(s.Do)
		if known && action.Risk.Writes() && risk.AtLeast(action.Risk) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// undecided prepares a step of a dry run as far as it goes, so that its targets
// can be shown.
func (e *Evaluator) undecided(p *Plan, m Moment, step int, missing string) Prepared {
	s := p.Document.AllSteps()[step]
	reason := fmt.Sprintf("depends on step %s, which a dry run leaves out", missing)
	prepared, err := e.bind(p, m, step, s.Do, s.With)
	if err != nil {
		return Prepared{Undecided: true, Reason: reason}
	}
	prepared.Undecided, prepared.Reason = true, reason
	return prepared
}

// dependsOn is the first step that the sources ask about and a dry run left out.
func dependsOn(m Moment, sources ...string) string {
	if len(m.LeftOut) == 0 {
		return ""
	}
	for _, source := range sources {
		for _, ref := range expression.References(source) {
			if len(ref.Path) >= 2 && ref.Path[0] == "steps" && slices.Contains(m.LeftOut, ref.Path[1]) {
				return ref.Path[1]
			}
		}
	}
	return ""
}

// asksAbout reports whether a condition reads what became of any of the steps.
func asksAbout(condition string, ids []string) bool {
	for _, ref := range expression.References(condition) {
		if len(ref.Path) >= 2 && ref.Path[0] == "steps" && slices.Contains(ids, ref.Path[1]) {
			return true
		}
	}
	return false
}

// PrepareCheck fills in the parameters of the check of a step, or of the run
// when step is the number of steps.
func (e *Evaluator) PrepareCheck(p *Plan, m Moment, step int, c *Check) Prepared {
	prepared, err := e.bind(p, m, step, c.Do, c.With)
	if err != nil {
		return Prepared{Reason: err.Error(), Failed: true}
	}
	return prepared
}

func (e *Evaluator) bind(p *Plan, m Moment, step int, do string, with map[string]any) (Prepared, error) {
	action, known := e.catalog.Get(do)
	if !known {
		return Prepared{}, fmt.Errorf("this engine has no action %q", do)
	}
	filled, err := e.fill(p, m, step, with)
	if err != nil {
		return Prepared{}, err
	}
	bound, problems := action.BindNode(document.FromValue(filled))
	if len(problems) > 0 {
		return Prepared{}, fmt.Errorf("parameters of %s: %s", do, texts(problems))
	}
	raw, err := bound.JSON()
	if err != nil {
		return Prepared{}, fmt.Errorf("parameters of %s: %w", do, err)
	}
	prepared := Prepared{
		Run: true, With: raw, Risk: action.Risk, Once: bound.Once(), Undoes: action.Undoes(),
		Parallel: action.Parallel, Limit: model.Duration(bound.Limit()), Idle: action.Idle, Asks: action.Asks(),
	}
	if !action.Selects {
		prepared.Target = bound.OnlyTarget()
	}
	return prepared, nil
}

// Until answers a check's condition over the output of its probe.
func (e *Evaluator) Until(do, until string, output json.RawMessage) (bool, error) {
	action, known := e.catalog.Get(do)
	if !known {
		return false, fmt.Errorf("this engine has no action %q", do)
	}
	program, err := e.programs.Get("until "+do, until, func() (*expression.Program, error) {
		return expression.Bool(until, untilEnv(action))
	})
	if err != nil {
		return false, err
	}
	value, err := outputValue(action, output)
	if err != nil {
		return false, fmt.Errorf("output of %s: %w", do, err)
	}
	fields, ok := value.(map[string]any)
	if !ok {
		return false, fmt.Errorf("%s gave no output", do)
	}
	return program.True(fields)
}

// Text fills in a text for people. What has no answer is left as it is written,
// because a page must go out all the same.
func (e *Evaluator) Text(p *Plan, m Moment, text string) string {
	t, err := expression.ParseTemplate(text)
	if err != nil {
		return text
	}
	values, err := p.values(e.catalog, m)
	if err != nil {
		return text
	}
	out, err := t.Render(func(source string) (any, error) {
		v, err := e.eval(p, m, len(p.Document.AllSteps()), source, values)
		if err == nil {
			_, err = expression.Text(v)
		}
		if err != nil {
			return "${" + source + "}", nil
		}
		return expression.Text(v)
	})
	if err != nil {
		return text
	}
	return fmt.Sprint(out)
}

func (e *Evaluator) condition(p *Plan, m Moment, step int, source string) (bool, error) {
	values, err := p.values(e.catalog, m)
	if err != nil {
		return false, err
	}
	program, err := e.programs.Get(scope(p, step, "bool"), source, func() (*expression.Program, error) {
		return expression.Bool(source, env(e.catalog, &p.Document, step))
	})
	if err != nil {
		return false, fmt.Errorf("condition %q: %w", source, err)
	}
	yes, err := program.True(values)
	return yes, noOutput(err, m, source)
}

func (e *Evaluator) eval(p *Plan, m Moment, step int, source string, values map[string]any) (any, error) {
	program, err := e.programs.Get(scope(p, step, "any"), source, func() (*expression.Program, error) {
		return expression.Any(source, env(e.catalog, &p.Document, step))
	})
	if err != nil {
		return nil, fmt.Errorf("${%s}: %w", source, err)
	}
	value, err := program.Eval(values)
	return value, noOutput(err, m, source)
}

// noOutput adds to a failure that the step that was asked about has no output.
func noOutput(err error, m Moment, source string) error {
	if err == nil {
		return nil
	}
	for _, ref := range expression.References(source) {
		if len(ref.Path) < 3 || ref.Path[0] != "steps" || ref.Path[2] != "output" {
			continue
		}
		if facts := m.Steps[ref.Path[1]]; len(facts.Output) == 0 {
			return fmt.Errorf("%w: step %s has no output, it is %s", err, ref.Path[1], cmp.Or(facts.Outcome, "not run"))
		}
	}
	return err
}

// scope names the environment of an expression at a step: a document and a place
// in it.
func scope(p *Plan, step int, kind string) string {
	return fmt.Sprintf("%s/%s/%d/%s", p.Runbook, p.Digest, step, kind)
}

// fill replaces the ${…} in a parameter tree.
func (e *Evaluator) fill(p *Plan, m Moment, step int, with map[string]any) (any, error) {
	values, err := p.values(e.catalog, m)
	if err != nil {
		return nil, err
	}
	return expression.Fill(with, func(source string) (any, error) { return e.eval(p, m, step, source, values) })
}
