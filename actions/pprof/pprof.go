// Package pprof captures profiles of Go services.
package pprof

import "github.com/runbook-engine/runbook/actions"

// System is the connection to a Go service's profiles and the actions on them.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: service.Erase(),
		Actions: []actions.Action{
			capture(conns),
		},
	}
}
