// Package ssh runs commands on other machines.
package ssh

import "github.com/runbook-engine/runbook/actions"

// System is the connection to a machine and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: machine.Erase(),
		Actions: []actions.Action{
			command(conns),
		},
	}
}
