package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Action is what a person needs to know to use an action: the reference, as
// data.
type Action struct {
	Name    string       `json:"name"`
	Doc     string       `json:"doc"`
	Risk    actions.Risk `json:"risk" enum:"read_only,reversible,disruptive,destructive"`
	Selects bool         `json:"selects" doc:"It chooses among many targets."`
	Params  []Field      `json:"params"`
	Output  []Field      `json:"output" doc:"Fields of steps.ID.output; of an action that selects, of each of its results."`
	Example string       `json:"example" doc:"Parameters as they stand under with."`
}

// Field is one parameter of an action, or one field of its output.
type Field struct {
	Name       string   `json:"name"`
	Type       string   `json:"type"`
	Doc        string   `json:"doc"`
	Required   bool     `json:"required,omitempty"`
	Default    *string  `json:"default,omitempty"`
	Enum       []string `json:"enum,omitempty"`
	Min        *float64 `json:"min,omitempty" doc:"Least value; of a duration in seconds, of a text or list its length."`
	Max        *float64 `json:"max,omitempty" doc:"Greatest value, likewise."`
	Pattern    string   `json:"pattern,omitempty"`
	Connection string   `json:"connection,omitempty" doc:"It names a connection of this kind."`
	Fields     []Field  `json:"fields,omitempty"`
}

// Describe is the reference of an action.
func Describe(a actions.Action) Action {
	return Action{
		Name: a.Name, Doc: a.Doc, Risk: a.Risk, Selects: a.Selects, Example: a.Example,
		Params: fields(a.Params, true), Output: fields(a.Result, false),
	}
}

// DescribeAll is the reference of a catalog, sorted by name.
func DescribeAll(c *actions.Catalog) []Action {
	all := make([]Action, 0, len(c.Names()))
	for _, a := range c.All() {
		all = append(all, Describe(a))
	}
	return all
}

func fields(t *shape.Type, input bool) []Field {
	if t.Kind == shape.List || t.Kind == shape.Map {
		return fields(t.Elem, input)
	}
	out := make([]Field, 0, len(t.Fields))
	for _, f := range t.Fields {
		out = append(out, field(f, input))
	}
	return out
}

func field(f shape.Field, input bool) Field {
	out := Field{
		Name: f.Name, Type: f.Type.String(), Doc: f.Doc, Enum: f.Enum, Min: f.Min, Max: f.Max,
		Connection: f.Connection, Fields: fields(f.Type, input),
	}
	if input {
		out.Required = f.Required
	}
	if f.HasDefault {
		out.Default = &f.Default
	}
	if f.Pattern != nil {
		out.Pattern = f.Pattern.String()
	}
	return out
}

type actionsOutput struct {
	Body []Action
}

func (s *server) actions() {
	op := operation("list-actions", http.MethodGet, "/actions", "What runbooks can do")
	huma.Register(s.api, op, func(context.Context, *struct{}) (*actionsOutput, error) {
		return &actionsOutput{DescribeAll(s.Catalog)}, nil
	})
}
