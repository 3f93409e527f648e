package runbooks

import (
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
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
		c.problems = append(c.problems, lint.Connections(c.Connections.Check, a.Params, n, holes)...)
	}
}
