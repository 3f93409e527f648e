// Package prometheus asks Prometheus, and what speaks its HTTP API (Thanos,
// Mimir, VictoriaMetrics).
package prometheus

import (
	"github.com/runbook-engine/runbook/actions"
)

// System is the connection to a Prometheus and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: server.Erase(),
		Actions: []actions.Action{
			query(conns),
		},
	}
}
