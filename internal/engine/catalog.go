package engine

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/alertmanager"
	"github.com/runbook-engine/runbook/actions/exec"
	"github.com/runbook-engine/runbook/actions/http"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/actions/prometheus"
	"github.com/runbook-engine/runbook/actions/wait"
)

// catalog is the actions that the engine can carry out.
func catalog(conns *actions.Connections) *actions.Catalog {
	return actions.NewCatalog(
		alertmanager.System(conns), exec.System(conns), http.System(conns), postgres.System(conns),
		prometheus.System(conns), wait.System(conns),
	)
}
