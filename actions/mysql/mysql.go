// Package mysql has the actions on MariaDB and MySQL. All but the failover use
// what both have; the failover is for MariaDB, whose GTIDs are of another kind.
package mysql

import "github.com/runbook-engine/runbook/actions"

// System is the connection to a server and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: database.Erase(),
		Actions: []actions.Action{
			query(conns),
			killConnections(conns),
			replication(conns),
			primaryDead(conns),
			fence(conns),
			failover(conns),
		},
	}
}
