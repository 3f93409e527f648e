package lint

import (
	"slices"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Connections checks the names of connections among parameters. What stands at
// one of the holes is known only when it runs.
func Connections(check func(kind, name string) error, params *shape.Type, n *document.Node, holes []diag.Place) (problems diag.List) {
	for _, f := range params.Fields {
		if f.Connection == "" {
			continue
		}
		value := n.Get(f.Name)
		name, at := f.Default, n.At
		if value != nil {
			name, at = value.Text, value.At
		}
		switch {
		case value == nil && f.Required, slices.Contains(holes, at):
			continue // the decoder said so; or it is known when the run starts
		case name == "" && f.HasDefault:
			continue // such an action does without one
		}
		if err := check(f.Connection, name); err != nil {
			problems.Add(at, "unknown-connection", err.Error(), "connections are named in the engine's config")
		}
	}
	return problems
}
