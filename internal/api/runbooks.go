package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// Runbook is a loaded document in a list.
type Runbook struct {
	Name     string       `json:"name"`
	Summary  string       `json:"summary"`
	Owner    string       `json:"owner,omitempty"`
	Autonomy string       `json:"autonomy" enum:"off,propose,approve,auto" doc:"What it may do by itself."`
	Risk     actions.Risk `json:"risk" enum:"read_only,reversible,disruptive,destructive" doc:"The worst of its steps."`
	Digest   string       `json:"digest" doc:"Identifies its behaviour."`
	File     string       `json:"file,omitempty"`
}

// RunbookDetail is all of a loaded document.
type RunbookDetail struct {
	Runbook
	Description string         `json:"description,omitempty"`
	Triggers    []RunbookAlert `json:"triggers,omitempty" doc:"Alerts that start it."`
	Params      []RunbookParam `json:"params,omitempty"`
	When        string         `json:"when,omitempty" doc:"Condition for doing anything at all."`
	Steps       []RunbookStep  `json:"steps"`
	Verify      *RunbookCheck  `json:"verify,omitempty"`
	MaxTargets  string         `json:"max_targets,omitempty"`
	OnResolve   string         `json:"on_resolve"`
	Otherwise   []string       `json:"otherwise,omitempty"`
	Warnings    []string       `json:"warnings,omitempty" doc:"What will not work as written on this engine."`
}

// RunbookAlert is a trigger.
type RunbookAlert struct {
	Alert    string   `json:"alert,omitempty"`
	Matchers []string `json:"matchers,omitempty"`
}

// RunbookParam is a declared parameter.
type RunbookParam struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Doc      string   `json:"doc,omitempty"`
	From     string   `json:"from,omitempty"`
	Default  any      `json:"default,omitempty"`
	Required bool     `json:"required" doc:"A run by hand must set it."`
	Enum     []string `json:"enum,omitempty"`
}

// RunbookStep is a step as written, with the risk of its action.
type RunbookStep struct {
	ID     string         `json:"id"`
	Doc    string         `json:"doc,omitempty"`
	Do     string         `json:"do"`
	Risk   actions.Risk   `json:"risk" enum:"read_only,reversible,disruptive,destructive"`
	If     string         `json:"if,omitempty"`
	With   map[string]any `json:"with,omitempty"`
	Verify *RunbookCheck  `json:"verify,omitempty"`
}

// RunbookCheck is a verify block as written.
type RunbookCheck struct {
	Do     string         `json:"do"`
	With   map[string]any `json:"with,omitempty"`
	Until  string         `json:"until"`
	Every  string         `json:"every"`
	Within string         `json:"within"`
	Hold   string         `json:"hold"`
}

// DescribeRunbook is a document without its parts.
func DescribeRunbook(rb *runbooks.Runbook, c *actions.Catalog) Runbook {
	out := Runbook{
		Name: rb.Runbook, Summary: rb.Summary, Owner: rb.Owner, Autonomy: string(rb.Autonomy.Level),
		Risk: actions.ReadOnly, Digest: rb.Digest(), File: rb.At.File,
	}
	for _, step := range rb.AllSteps() {
		if a, known := c.Get(step.Do); known && a.Risk.AtLeast(out.Risk) {
			out.Risk = a.Risk
		}
	}
	return out
}

// DescribeRunbookDetail is a document with all its parts.
func DescribeRunbookDetail(rb *runbooks.Runbook, c *actions.Catalog) RunbookDetail {
	out := RunbookDetail{
		Runbook: DescribeRunbook(rb, c), Description: rb.Description, When: rb.When, OnResolve: rb.OnResolve,
		Otherwise: rb.Otherwise, Verify: describeCheck(rb.Verify), MaxTargets: describeMaxTargets(rb.Guards.MaxTargets),
	}
	for _, t := range rb.Triggers {
		out.Triggers = append(out.Triggers, RunbookAlert(t))
	}
	for _, name := range sortedKeys(rb.Params) {
		p := rb.Params[name]
		out.Params = append(out.Params, RunbookParam{
			Name: name, Type: p.Type, Doc: p.Doc, From: p.From, Default: p.Default, Required: p.Default == nil, Enum: p.Enum,
		})
	}
	for _, s := range rb.AllSteps() {
		step := RunbookStep{ID: s.ID, Doc: s.Doc, Do: s.Do, If: s.If, With: s.With, Verify: describeCheck(s.Verify)}
		if a, known := c.Get(s.Do); known {
			step.Risk = a.Risk
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

func describeCheck(c *runbooks.Check) *RunbookCheck {
	if c == nil {
		return nil
	}
	return &RunbookCheck{Do: c.Do, With: c.With, Until: c.Until, Every: c.Every.String(), Within: c.Within.String(), Hold: c.Hold.String()}
}

func describeMaxTargets(m *runbooks.MaxTargets) string {
	switch {
	case m == nil:
		return ""
	case m.Percent == 0:
		return fmt.Sprintf("%d", m.Count)
	case m.Count == 0:
		return fmt.Sprintf("%v %%", m.Percent)
	default:
		return fmt.Sprintf("%d, and %v %%", m.Count, m.Percent)
	}
}

type (
	runbooksOutput struct{ Body []Runbook }
	runbookInput   struct {
		Name string `path:"name" maxLength:"63"`
	}
	runbookOutput struct{ Body RunbookDetail }
)

func (s *server) runbooks() {
	huma.Register(s.api, operation("list-runbooks", http.MethodGet, "/runbooks", "The runbooks that are loaded"), s.listRunbooks)
	huma.Register(s.api, operation("get-runbook", http.MethodGet, "/runbooks/{name}", "One runbook", http.StatusNotFound), s.getRunbook)
}

func (s *server) listRunbooks(context.Context, *struct{}) (*runbooksOutput, error) {
	out := &runbooksOutput{Body: []Runbook{}}
	for _, rb := range s.Set().All() {
		out.Body = append(out.Body, DescribeRunbook(rb, s.Catalog))
	}
	return out, nil
}

func (s *server) getRunbook(_ context.Context, in *runbookInput) (*runbookOutput, error) {
	rb, err := s.find(in.Name)
	if err != nil {
		return nil, err
	}
	out := &runbookOutput{DescribeRunbookDetail(rb, s.Catalog)}
	out.Body.Warnings = s.warnings(rb)
	return out, nil
}

func (s *server) find(name string) (*runbooks.Runbook, error) {
	set := s.Set()
	if rb, ok := set.Get(name); ok {
		return rb, nil
	}
	detail := fmt.Sprintf("there is no runbook %q", document.Shorten(name, 63))
	if hint := document.Suggest(name, set.Names()); hint != "" {
		detail += "; " + hint
	}
	return nil, problem(http.StatusNotFound, CodeNoSuchRunbook, detail)
}

// warnings are what a person should know before a run.
func (s *server) warnings(rb *runbooks.Runbook) []string {
	if rb.Has("escalate") && !s.Escalates {
		return []string{"this engine has no connection to an Alertmanager: `otherwise: escalate` will reach nobody"}
	}
	return nil
}
