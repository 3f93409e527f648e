// Package parameter is the typed values that a runbook is given: by hand, by an
// alert, or by its own defaults. It is where text that anybody can write meets
// what will be done with it.
package parameter

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Param declares one parameter.
type Param struct {
	Type    string   `json:"type" enum:"string|integer|number|boolean|duration" doc:"Type of its value."`
	Doc     string   `json:"doc,omitempty" optional:"true" doc:"Meaning."`
	From    string   `json:"from,omitempty" optional:"true" pattern:"^alert\\.(labels|annotations)\\.[a-zA-Z_][a-zA-Z0-9_]*$" doc:"Where in the alert it comes from: alert.labels.NAME or alert.annotations.NAME."`
	Default any      `json:"default,omitempty" optional:"true" doc:"Value when nothing else gives one; without it the parameter is required."`
	Pattern string   `json:"pattern,omitempty" optional:"true" doc:"What the whole of a string must match (RE2)."`
	Enum    []string `json:"enum,omitempty" optional:"true" min:"1" doc:"The only values of a string."`
	Min     *float64 `json:"min,omitempty" optional:"true" doc:"Smallest number; of a duration, in seconds."`
	Max     *float64 `json:"max,omitempty" optional:"true" doc:"Largest number; of a duration, in seconds."`

	form *regexp.Regexp // Pattern, compiled
}

// UnmarshalJSON keeps a default that is an integer what it is.
func (p *Param) UnmarshalJSON(raw []byte) error {
	type plain Param
	read := struct {
		*plain
		Default json.RawMessage `json:"default"`
	}{plain: (*plain)(p)}
	if err := json.Unmarshal(raw, &read); err != nil || len(read.Default) == 0 {
		return err
	}
	var err error
	p.Default, err = document.FromJSON(read.Default)
	return err
}

// Kind is the type as shapes have it.
func (p Param) Kind() shape.Kind { return shape.Kind(p.Type) }

// Required reports that a run without a value for it is refused.
func (p Param) Required() bool { return p.Default == nil }

var nameForm = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)

// Check finds what is wrong with declarations that stand at a node, a mapping,
// and makes them ready for use.
func Check(params map[string]Param, node *document.Node) diag.List {
	var c checker
	for _, name := range sortedKeys(params) {
		p := params[name]
		c.one(name, &p, node.KeyPlace(name), node.Find(name))
		params[name] = p
	}
	return c.problems
}

type checker struct{ problems diag.List }

func (c *checker) one(name string, p *Param, key diag.Place, node *document.Node) {
	if !nameForm.MatchString(name) {
		c.problems.Add(key, "param-name", fmt.Sprintf("the parameter name %q is no plain word", name), "a small letter, then letters, digits and _")
	}
	if p.Type == "" {
		return // the decoder said so
	}
	before := len(c.problems)
	c.text(name, p, node)
	c.bounds(name, p, node)
	if len(c.problems) > before || p.Default == nil {
		return
	}
	if _, err := p.Accept(p.Default); err != nil {
		c.problems.Addf(node.Find("default").At, "default", "the default of parameter %s: %v", name, err)
	}
}

func (c *checker) text(name string, p *Param, node *document.Node) {
	if (p.Pattern != "" || len(p.Enum) > 0) && p.Kind() != shape.String {
		c.problems.Addf(node.At, "wrong-type", "parameter %s is of type %s; only a string has a pattern or enum", name, p.Type)
		return
	}
	if p.Pattern != "" && len(p.Enum) > 0 {
		c.problems.Add(node.Find("pattern").At, "no-effect", fmt.Sprintf("parameter %s has an enum; its pattern has no effect", name), "remove one of the two")
	}
	for i, value := range p.Enum {
		if slices.Index(p.Enum, value) < i {
			c.problems.Addf(node.Find("enum", i).At, "duplicate-value", "the enum of parameter %s has %q twice", name, value)
		}
	}
	if p.Pattern != "" {
		var err error
		if p.form, err = compileForm(p.Pattern); err != nil {
			c.problems.Addf(node.Find("pattern").At, "pattern", "the pattern of parameter %s: %v", name, err)
		}
	}
}

// compileForm compiles the pattern by itself first: as a group, an unbalanced
// one could break out.
func compileForm(pattern string) (*regexp.Regexp, error) {
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`^(?:` + pattern + `)$`)
}

func (c *checker) bounds(name string, p *Param, node *document.Node) {
	if p.Min == nil && p.Max == nil {
		return
	}
	if p.Kind() == shape.String || p.Kind() == shape.Bool {
		c.problems.Addf(node.At, "wrong-type", "parameter %s is of type %s; only a number or a duration has min and max", name, p.Type)
	}
	if p.Min != nil && p.Max != nil && *p.Min > *p.Max {
		c.problems.Addf(node.Find("min").At, "bounds", "parameter %s has no value: its min %v is above its max %v", name, *p.Min, *p.Max)
	}
}
