package runbooks

import (
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks/lint"
)

// with checks the parameters of an action: what is written out by the same
// decoder that will read it in the end, and each ${…} by its type.
func (c *checker) with(a actions.Action, n *document.Node, scope *lint.Scope) {
	n.Title = a.Name
	holes := scope.Values(n, a.Params)
	_, problems := a.BindNode(n)
	for _, p := range problems {
		if !slices.Contains(holes, diag.Place{File: p.File, Line: p.Line, Col: p.Col}) {
			c.problems = append(c.problems, p)
		}
	}
	if c.Connections != nil {
		c.connections(a, n, holes)
	}
}

// connections checks the names of connections against the engine's config.
func (c *checker) connections(a actions.Action, n *document.Node, holes []diag.Place) {
	for _, f := range a.Params.Fields {
		if f.Connection != "" {
			c.connection(f, n, holes)
		}
	}
}

func (c *checker) connection(f shape.Field, n *document.Node, holes []diag.Place) {
	value := n.Get(f.Name)
	name, at := f.Default, n.At
	if value != nil {
		name, at = value.Text, value.At
	}
	switch {
	case value == nil && f.Required, slices.Contains(holes, at):
		return // the decoder said so; or it is known when the run starts
	case name == "" && f.HasDefault:
		return // such an action does without one
	}
	if err := c.Connections.Check(f.Connection, name); err != nil {
		c.add(at, "unknown-connection", err.Error(), "connections are named in the engine's config")
	}
}
