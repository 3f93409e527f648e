package conformance

import (
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// Open gives the actions of a system over the `connections` part of a config, for
// tests of what an action promises beyond the contract.
func Open(t testing.TB, system func(*actions.Connections) actions.System, connections string) *actions.Catalog {
	t.Helper()
	nodes, problems := document.Parse("connections.yaml", []byte(connections))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	all, problems := actions.NewConnections([]*actions.ConnectionKind{system(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(all.Close)
	return actions.NewCatalog(system(all))
}

// Bind gives one of them with its parameters.
func Bind(t testing.TB, catalog *actions.Catalog, action, params string) actions.Bound {
	t.Helper()
	a, known := catalog.Get(action)
	if !known {
		t.Fatalf("there is no action %s", action)
	}
	b, problems := a.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}
