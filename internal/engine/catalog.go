package engine

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/alertmanager"
	"github.com/runbook-engine/runbook/actions/http"
	"github.com/runbook-engine/runbook/actions/prometheus"
	"github.com/runbook-engine/runbook/actions/wait"
)

func catalog(conns *actions.Connections) *actions.Catalog {
	return actions.NewCatalog(alertmanager.System(conns), http.System(conns), prometheus.System(conns), wait.System(conns))
}
