package runbooks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/expr-lang/expr/types"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

// MultiResult is the output of a step whose action selects among many targets.
type multiResult struct {
	Count   int               `json:"count" doc:"Targets acted on."`
	Results []json.RawMessage `json:"results" doc:"What each target gave."`
}

// JoinResults is the output of a step from the results on its targets; selects
// says whether its action chooses among many.
func JoinResults(selects bool, results []json.RawMessage) (json.RawMessage, error) {
	if !selects {
		if len(results) != 1 {
			return nil, fmt.Errorf("%d results for one target", len(results))
		}
		return results[0], nil
	}
	// Written by hand: workflow code calls this, and encoding/json walks maps.
	joined := fmt.Appendf(nil, `{"count":%d,"results":[%s]}`, len(results), bytes.Join(rawBytes(results), []byte(",")))
	return joined, nil
}

func rawBytes(results []json.RawMessage) [][]byte {
	out := make([][]byte, len(results))
	for i, r := range results {
		out[i] = r
	}
	return out
}

// OutputType is the shape of steps.<id>.output after an action.
func OutputType(a actions.Action) types.Type {
	result := expression.TypeOf(a.Result)
	if !a.Selects {
		return result
	}
	return types.Map{"count": types.Int, "results": types.Array(result)}
}

// untilEnv is the fields of a probe's output, by name.
func untilEnv(a actions.Action) expression.Env {
	fields, _ := OutputType(a).(types.Map)
	return fields
}

func outputValue(a actions.Action, raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if !a.Selects {
		return expression.Decode(a.Result, raw)
	}
	var joined multiResult
	if err := json.Unmarshal(raw, &joined); err != nil {
		return nil, err
	}
	results := make([]any, len(joined.Results))
	for i, r := range joined.Results {
		v, err := expression.Decode(a.Result, r)
		if err != nil {
			return nil, err
		}
		results[i] = v
	}
	return map[string]any{"count": joined.Count, "results": results}, nil
}

var alertType = types.Map{
	"name":        types.String,
	"status":      types.String,
	"labels":      types.Map{types.Extra: types.String},
	"annotations": types.Map{types.Extra: types.String},
	"starts_at":   types.TypeOf(time.Time{}),
	"fingerprint": types.String,
	"receiver":    types.String,
}

var runType = types.Map{"id": types.String, "source": types.String, "actor": types.String}

// env is what an expression at step number upto may use: the steps before it.
func env(catalog *actions.Catalog, doc *Document, upto int) expression.Env {
	steps := types.Map{}
	for _, s := range doc.AllSteps()[:min(upto, len(doc.AllSteps()))] {
		steps[s.ID] = stepType(catalog, s)
	}
	params := types.Map{}
	for name, p := range doc.Params {
		params[name] = expression.TypeOf(&shape.Type{Kind: p.Kind()})
	}
	return expression.Env{
		"alert":   alertType,
		"params":  params,
		"steps":   steps,
		"run":     runType,
		"windows": types.Array(types.String),
		"now":     types.TypeOf(time.Time{}),
	}
}

func stepType(catalog *actions.Catalog, s Step) types.Map {
	t := types.Map{"outcome": types.String, "error": types.String, "targets": types.Int, "output": types.Type(types.Any)}
	if a, known := catalog.Get(s.Do); known {
		t["output"] = OutputType(a)
	}
	return t
}

// Moment is what expressions may ask besides the plan: the state of the run at
// one point.
type Moment struct {
	Now     time.Time        `json:"now"`
	Steps   map[string]Facts `json:"steps,omitempty"`
	Windows []string         `json:"windows,omitempty"` // maintenance windows that are open
	// Failed are the steps that failed: only steps that ask about one still run.
	Failed []string `json:"failed,omitempty"`
	// LeftOut are the steps that a dry run did not run, and would.
	LeftOut []string `json:"left_out,omitempty"`
}

func (p *Plan) values(catalog *actions.Catalog, m Moment) (map[string]any, error) {
	steps := map[string]any{}
	for _, s := range p.Document.AllSteps() {
		facts, done := m.Steps[s.ID]
		if !done {
			continue
		}
		v, err := stepValue(catalog, s, facts)
		if err != nil {
			return nil, fmt.Errorf("output of step %s: %w", s.ID, err)
		}
		steps[s.ID] = v
	}
	windows := m.Windows
	if windows == nil {
		windows = []string{}
	}
	return map[string]any{
		"alert":   p.alertValue(),
		"params":  p.paramValues(),
		"steps":   steps,
		"run":     map[string]any{"id": p.RunID(), "source": string(p.Source), "actor": p.Actor},
		"windows": windows,
		"now":     m.Now,
	}, nil
}

func stepValue(catalog *actions.Catalog, s Step, facts Facts) (map[string]any, error) {
	v := map[string]any{"outcome": facts.Outcome, "error": facts.Error, "targets": facts.Targets, "output": nil}
	a, known := catalog.Get(s.Do)
	if !known {
		return v, nil
	}
	output, err := outputValue(a, facts.Output)
	v["output"] = output
	return v, err
}

func (p *Plan) alertValue() map[string]any {
	a := p.Alert
	if a == nil {
		a = &Alert{}
	}
	return map[string]any{
		"name": a.Name(), "status": a.Status, "starts_at": a.StartsAt, "fingerprint": a.Fingerprint, "receiver": a.Receiver,
		"labels": pairs(a.Labels), "annotations": pairs(a.Annotations),
	}
}

func pairs(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (p *Plan) paramValues() map[string]any {
	values := make(map[string]any, len(p.Params))
	for name, v := range p.Params {
		values[name] = expression.Value(&shape.Type{Kind: p.Document.Params[name].Kind()}, v)
	}
	return values
}
