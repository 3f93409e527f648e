package runbooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

// Evaluator answers the questions that a run asks of its plan. It keeps what it
// compiled. It is not for workflow code.
type Evaluator struct {
	catalog *actions.Catalog

	mu       sync.Mutex
	programs map[programKey]*expression.Program
}

type programKey struct {
	scope  string // digest of the document and the position in it, or the probe
	source string
}

// maxPrograms bounds the memory; past it the evaluator starts over.
const maxPrograms = 50_000

// NewEvaluator evaluates over the actions of a catalog.
func NewEvaluator(catalog *actions.Catalog) *Evaluator {
	return &Evaluator{catalog: catalog, programs: map[programKey]*expression.Program{}}
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
	s := p.Document.Steps[step]
	if len(m.Failed) > 0 && !asksAbout(s.If, m.Failed) {
		return Prepared{Reason: fmt.Sprintf("step %s failed, and this step does not ask about it", m.Failed[0])}
	}
	if missing := dependsOn(s.If, m); missing != "" {
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
	if missing := dependsOn(templateSources(s.With), m); missing != "" {
		return e.undecided(p, m, step, missing)
	}
	prepared, err := e.bind(p, m, step, s.Do, s.With)
	if err != nil {
		return Prepared{Reason: err.Error(), Failed: true}
	}
	return prepared
}

// undecided prepares a step of a dry run as far as it goes, so that its targets
// can be shown.
func (e *Evaluator) undecided(p *Plan, m Moment, step int, missing string) Prepared {
	s := p.Document.Steps[step]
	reason := fmt.Sprintf("depends on step %s, which a dry run leaves out", missing)
	prepared, err := e.bind(p, m, step, s.Do, s.With)
	if err != nil {
		return Prepared{Undecided: true, Reason: reason}
	}
	prepared.Undecided, prepared.Reason = true, reason
	return prepared
}

// dependsOn is the first step that a source asks about and a dry run left out.
func dependsOn(source string, m Moment) string {
	if len(m.LeftOut) == 0 {
		return ""
	}
	for _, ref := range expression.References(source) {
		if len(ref.Path) >= 2 && ref.Path[0] == "steps" && slices.Contains(m.LeftOut, ref.Path[1]) {
			return ref.Path[1]
		}
	}
	return ""
}

// templateSources is all expressions in a parameter tree, as one list.
func templateSources(with map[string]any) string {
	var sources []string
	_, err := mapStrings(any(with), func(s string) (any, error) {
		t, err := expression.ParseTemplate(s)
		for _, h := range t.Holes() {
			sources = append(sources, h.Source)
		}
		return s, err
	})
	if err != nil {
		return ""
	}
	return "[" + strings.Join(sources, ", ") + "]"
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
		Parallel: action.Parallel, Limit: model.Duration(bound.Limit()), Idle: action.Idle,
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
	program, err := e.compiled(programKey{"until " + do, until}, func() (*expression.Program, error) {
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
		v, err := e.eval(p, len(p.Document.Steps), source, values)
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
	program, err := e.compiled(e.key(p, step, source, "bool"), func() (*expression.Program, error) {
		return expression.Bool(source, env(e.catalog, &p.Document, step))
	})
	if err != nil {
		return false, fmt.Errorf("condition %q: %w", source, err)
	}
	return program.True(values)
}

func (e *Evaluator) eval(p *Plan, step int, source string, values map[string]any) (any, error) {
	program, err := e.compiled(e.key(p, step, source, "any"), func() (*expression.Program, error) {
		return expression.Any(source, env(e.catalog, &p.Document, step))
	})
	if err != nil {
		return nil, fmt.Errorf("${%s}: %w", source, err)
	}
	return program.Eval(values)
}

func (e *Evaluator) key(p *Plan, step int, source, kind string) programKey {
	return programKey{fmt.Sprintf("%s/%s/%d/%s", p.Runbook, p.Digest, step, kind), source}
}

func (e *Evaluator) compiled(key programKey, compile func() (*expression.Program, error)) (*expression.Program, error) {
	e.mu.Lock()
	program := e.programs[key]
	e.mu.Unlock()
	if program != nil {
		return program, nil
	}
	program, err := compile()
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.programs) >= maxPrograms {
		clear(e.programs)
	}
	e.programs[key] = program
	return program, nil
}

// fill replaces the ${…} in a parameter tree.
func (e *Evaluator) fill(p *Plan, m Moment, step int, with map[string]any) (map[string]any, error) {
	values, err := p.values(e.catalog, m)
	if err != nil {
		return nil, err
	}
	filled, err := mapStrings(any(with), func(s string) (any, error) {
		if !strings.Contains(s, "${") {
			return s, nil
		}
		t, err := expression.ParseTemplate(s)
		if err != nil {
			return nil, err
		}
		return t.Render(func(source string) (any, error) { return e.eval(p, step, source, values) })
	})
	if err != nil {
		return nil, err
	}
	return filled.(map[string]any), nil
}

// mapStrings rebuilds a tree with each string replaced.
func mapStrings(v any, replace func(string) (any, error)) (any, error) {
	switch v := v.(type) {
	case string:
		return replace(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = mapStrings(item, replace); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range sortedKeys(v) {
			var err error
			if out[key], err = mapStrings(v[key], replace); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}
