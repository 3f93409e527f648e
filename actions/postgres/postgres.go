// Package postgres looks at PostgreSQL databases and relieves them.
package postgres

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/postgres/failover"
)

// System is the connection to a database and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: database.Erase(),
		Actions: append([]actions.Action{
			cancelBackends(conns),
			pressure(conns),
			query(conns),
			terminateBackends(conns),
			unblock(conns),
		}, failover.Actions(servers(conns))...),
	}
}
