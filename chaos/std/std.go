// Package std is the list of the faults that the program ships.
package std

import (
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/chaosmesh"
	"github.com/runbook-engine/runbook/chaos/postgres"
	"github.com/runbook-engine/runbook/chaos/process"
	"github.com/runbook-engine/runbook/chaos/toxiproxy"
)

// Catalog is every fault, over the given connections. Without connections it is
// enough to list, lint and document.
func Catalog(conns *actions.Connections) *chaos.Catalog {
	return chaos.NewCatalog(
		chaosmesh.Injector(conns),
		postgres.Injector(conns),
		process.Injector(conns),
		toxiproxy.Injector(conns),
	)
}

// Modes are what the program does as a child of itself. A program that injects
// faults calls backstop.Main with them before anything else.
func Modes() []backstop.Mode { return slices.Concat(process.Modes(), toxiproxy.Modes()) }
