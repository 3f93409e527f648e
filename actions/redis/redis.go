// Package redis has the actions on Redis and on what Sentinel watches over.
package redis

import "github.com/runbook-engine/runbook/actions"

// System is the connection to Redis and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: server.Erase(),
		Actions: []actions.Action{
			info(conns),
			clientKill(conns),
			sentinelFailover(conns),
		},
	}
}
