package runbooks

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/types"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

var rateForm = regexp.MustCompile(`^[1-9][0-9]*/([1-9][0-9]*)?[smhdw]$`)

// untilEnv is the fields of a probe's output, by name.
func untilEnv(a actions.Action) expression.Env {
	fields, _ := OutputType(a).(types.Map)
	return fields
}

// condition checks an expression that must be a bool.
func (c *checker) condition(key string, n *document.Node, upto int) {
	if n == nil || n.Kind != document.String {
		return
	}
	if strings.Contains(n.Text, "${") {
		c.add(n.At, "condition", key+" is an expression already", "leave out the ${ and }")
		return
	}
	c.compile(n, n.Text, 0, env(c.Catalog, c.doc, upto), true)
}

// compile checks one expression that stands at an offset of a string.
func (c *checker) compile(n *document.Node, source string, offset int, env expression.Env, isBool bool) *expression.Program {
	if c.references(n, source, offset, env) {
		return nil
	}
	c.windowNames(n, source, offset)
	compile := expression.Any
	if isBool {
		compile = expression.Bool
	}
	program, err := compile(source, env)
	if err != nil {
		var at *expression.Error
		if errors.As(err, &at) {
			offset += at.Offset
		}
		c.add(n.PlaceOf(offset), "condition", err.Error(), "")
		return nil
	}
	return program
}

// references reports steps and parameters that are not there, in better words
// than the compiler has; true when it found any.
func (c *checker) references(n *document.Node, source string, offset int, env expression.Env) bool {
	if _, whole := env["steps"]; !whole {
		return false
	}
	before := len(c.problems)
	for _, ref := range expression.References(source) {
		if len(ref.Path) != 2 {
			continue
		}
		at := n.PlaceOf(offset + ref.Offset)
		switch ref.Path[0] {
		case "steps":
			c.stepReference(at, ref.Path[1], env)
		case "params":
			if _, known := c.doc.Params[ref.Path[1]]; !known {
				c.add(at, "unknown-param", fmt.Sprintf("there is no parameter %q", ref.Path[1]), document.Suggest(ref.Path[1], sortedKeys(c.doc.Params)))
			}
		}
	}
	return len(c.problems) > before
}

func (c *checker) stepReference(at diag.Place, id string, env expression.Env) {
	earlier, _ := env["steps"].(types.Map)
	if _, known := earlier[id]; known {
		return
	}
	if slices.ContainsFunc(c.doc.Steps, func(s Step) bool { return s.ID == id }) {
		c.add(at, "later-step", fmt.Sprintf("step %q has not run yet at this point", id), "a condition may only ask about steps before it")
		return
	}
	c.add(at, "unknown-step", fmt.Sprintf("there is no step %q", id), document.Suggest(id, sortedKeys(earlier)))
}

// with checks the parameters of an action: what is written out by the same
// decoder that will read it in the end, and each ${…} by its type.
func (c *checker) with(a actions.Action, n *document.Node, upto int) {
	holes := c.templates(n, upto, a.Params)
	_, problems := a.BindNode(n)
	for _, p := range problems {
		if !slices.ContainsFunc(holes, func(h diag.Place) bool { return h.Line == p.Line && h.Col == p.Col && h.File == p.File }) {
			c.problems = append(c.problems, p)
		}
	}
	c.connections(a, n, holes)
}

// templates checks the ${…} in a tree and returns the places of the values that
// hold any. The shape, when there is one, is what is wanted at the node.
func (c *checker) templates(n *document.Node, upto int, want *shape.Type) (holes []diag.Place) {
	switch n.Kind {
	case document.String:
		if c.template(n, upto, want) {
			holes = append(holes, n.At)
		}
	case document.List:
		for _, item := range n.Items {
			holes = append(holes, c.templates(item, upto, elem(want))...)
		}
	case document.Map:
		for _, e := range n.Entries {
			holes = append(holes, c.templates(e.Value, upto, member(want, e.Key))...)
		}
	}
	return holes
}

func elem(t *shape.Type) *shape.Type {
	if t == nil || t.Kind != shape.List {
		return nil
	}
	return t.Elem
}

func member(t *shape.Type, key string) *shape.Type {
	switch {
	case t == nil:
		return nil
	case t.Kind == shape.Map:
		return t.Elem
	case t.Kind == shape.Struct:
		f, known := t.Field(key)
		if known {
			return f.Type
		}
	}
	return nil
}

func (c *checker) template(n *document.Node, upto int, want *shape.Type) bool {
	if !strings.Contains(n.Text, "${") {
		return false
	}
	t, err := expression.ParseTemplate(n.Text)
	if err != nil {
		var at *expression.Error
		errors.As(err, &at)
		c.add(n.PlaceOf(at.Offset), "template", err.Error(), "write $${ for a literal ${")
		return true
	}
	for _, hole := range t.Holes() {
		c.hole(n, hole, upto, want, t.Whole())
	}
	return len(t.Holes()) > 0
}

func (c *checker) hole(n *document.Node, h expression.Hole, upto int, want *shape.Type, whole bool) {
	at := n.PlaceOf(h.Offset)
	for _, ref := range expression.References(h.Source) {
		if len(ref.Path) == 1 && ref.Path[0] == "alert" {
			c.add(n.PlaceOf(h.Offset+ref.Offset), "alert-in-with", "what an alert says must not reach an action unchecked",
				"declare a parameter with from: alert.labels.NAME and use ${params.…}")
			return
		}
	}
	program := c.compile(n, h.Source, h.Offset, env(c.Catalog, c.doc, upto), false)
	if program == nil || want == nil {
		return
	}
	switch {
	case !whole && want.Kind != shape.String && want.Kind != shape.Any && want.Kind != shape.Duration:
		c.add(n.At, "wrong-type", fmt.Sprintf("a %s is wanted here, not a string with ${…} in it", want), "use one ${…} and nothing around it")
	case whole && !expression.Fits(program.Type(), want):
		c.add(at, "wrong-type", fmt.Sprintf("${%s} is a %s; a %s is wanted here", h.Source, program.Type(), want), "")
	}
}

// text checks a text for people, which may name anything.
func (c *checker) text(n *document.Node) {
	if n == nil || n.Kind != document.String || !strings.Contains(n.Text, "${") {
		return
	}
	t, err := expression.ParseTemplate(n.Text)
	if err != nil {
		c.add(n.At, "template", err.Error(), "write $${ for a literal ${")
		return
	}
	for _, h := range t.Holes() {
		c.compile(n, h.Source, h.Offset, env(c.Catalog, c.doc, len(c.doc.Steps)), false)
	}
}

// connections checks the names of connections against the engine's config.
func (c *checker) connections(a actions.Action, n *document.Node, holes []diag.Place) {
	if c.Connections == nil {
		return
	}
	for _, f := range a.Params.Fields {
		if f.Connection == "" {
			continue
		}
		value := n.Get(f.Name)
		if value == nil && f.Required || value != nil && slices.Contains(holes, value.At) {
			continue
		}
		name, at := "", n.At
		if value != nil {
			name, at = value.Text, value.At
		}
		if err := c.Connections.Check(f.Connection, name); err != nil {
			c.add(at, "unknown-connection", err.Error(), "connections are named in the engine's config")
		}
	}
}

type windowName struct {
	name   string
	offset int
}

var windowUse = regexp.MustCompile(`["']([^"']+)["']\s+(?:not\s+)?in\s+windows\b`)

func windowsIn(source string) []windowName {
	var names []windowName
	for _, m := range windowUse.FindAllStringSubmatchIndex(source, -1) {
		names = append(names, windowName{source[m[2]:m[3]], m[2]})
	}
	return names
}
