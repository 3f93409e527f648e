// Package http sends HTTP requests.
package http

import "github.com/runbook-engine/runbook/actions"

// System is the connection to an HTTP service and the actions on it, and on any
// other URL.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: service.Erase(),
		Actions: []actions.Action{
			get(conns),
			request(conns),
			setting(conns),
		},
	}
}
