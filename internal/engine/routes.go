package engine

import (
	"context"
	"fmt"
	"net/http"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/version"
)

// route opens the engine to requests.
func (e *Engine) route(ctx context.Context, o Options) error {
	mux := http.NewServeMux()
	mux.Handle(api.Prefix+"/", api.New(api.Deps{
		Runs: e.runs, Set: e.documents.Set, Catalog: e.catalog, Version: version.Version(), Audit: e.audit,
		Halt: e.halt, Ledger: e.ledger, Windows: e.config.windows, Environment: e.config.Autonomy, Guards: e.config.Guards.Limits,
		Each: e.config.Guards.Each, Escalates: len(e.alertmanagers) > 0, Log: e.log, Gamedays: e.gamedays(),
	}))
	require := func(role identity.Role, next http.Handler) http.Handler {
		return identity.Require(role, e.audit, e.log, next)
	}
	mux.Handle("GET /metrics", require(identity.Viewer, e.metrics.Handler()))
	mux.Handle("POST /-/reload", require(identity.Operator, http.HandlerFunc(e.handleReload)))
	if !o.Standalone {
		r, err := e.openReceiver(ctx)
		if err != nil {
			return err
		}
		mux.Handle("POST "+WebhookPath, require(identity.Alertmanager, r))
	}
	e.server.routes.Store(mux)
	return nil
}

func (e *Engine) handleReload(w http.ResponseWriter, _ *http.Request) {
	if err := e.Reload("a request"); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%d runbooks are loaded.\n", len(e.documents.Set().Names()))
}
