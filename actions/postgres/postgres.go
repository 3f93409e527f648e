// Package postgres looks at PostgreSQL databases and relieves them.
package postgres

import "github.com/runbook-engine/runbook/actions"

// System is the connection to a database and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: database.Erase(),
		Actions: []actions.Action{
			query(conns),
			terminateBackends(conns),
		},
	}
}
