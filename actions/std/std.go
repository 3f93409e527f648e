// Package std is the list of the actions that the program ships.
package std

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/alertmanager"
	"github.com/runbook-engine/runbook/actions/exec"
	"github.com/runbook-engine/runbook/actions/haproxy"
	"github.com/runbook-engine/runbook/actions/http"
	"github.com/runbook-engine/runbook/actions/kubernetes"
	"github.com/runbook-engine/runbook/actions/mysql"
	"github.com/runbook-engine/runbook/actions/orchestrator"
	"github.com/runbook-engine/runbook/actions/patroni"
	"github.com/runbook-engine/runbook/actions/pgbouncer"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/actions/pprof"
	"github.com/runbook-engine/runbook/actions/prometheus"
	"github.com/runbook-engine/runbook/actions/redis"
	"github.com/runbook-engine/runbook/actions/ssh"
	"github.com/runbook-engine/runbook/actions/systemd"
	"github.com/runbook-engine/runbook/actions/wait"
)

// Catalog is every action, over the given connections. Without connections it is
// enough to list, lint and document.
func Catalog(conns *actions.Connections) *actions.Catalog {
	return actions.NewCatalog(
		alertmanager.System(conns),
		exec.System(conns),
		haproxy.System(conns),
		http.System(conns),
		kubernetes.System(conns),
		mysql.System(conns),
		orchestrator.System(conns),
		patroni.System(conns),
		pgbouncer.System(conns),
		postgres.System(conns),
		pprof.System(conns),
		prometheus.System(conns),
		redis.System(conns),
		ssh.System(conns),
		systemd.System(conns),
		wait.System(conns),
	)
}
