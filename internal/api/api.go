// Package api is the engine's HTTP interface for people and their tools: the
// runbooks and actions there are, and runs to start, follow and stop. It
// describes itself as OpenAPI 3.1, and says what is wrong as RFC 9457 problems.
//
// It asks for no credentials: who is asking, and what they may do, is in the
// context of each request.
package api

import (
	"log/slog"
	"net/http"
	"path"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
)

// Prefix is where the interface is served.
const Prefix = "/api/v1"

const (
	maxBody = 1 << 20
	// patience is how long Temporal may take to answer what is not a stream.
	patience = 15 * time.Second
)

// Deps is what the interface serves.
type Deps struct {
	Runs    *runs.Service
	Set     func() *runbooks.Set // the documents that are loaded now
	Catalog *actions.Catalog
	Version string
	Audit   *audit.Log
	Halt    *halt.Switch
	Ledger  *admission.Client
	// Windows is every maintenance window at a time, now or later.
	Windows func(time.Time) []runbooks.Window
	// Environment and Guards are the engine's own, for all runbooks.
	Environment runbooks.Environment
	Guards      ledger.Limits
	Each        runbooks.EngineGuards
	// Escalates reports that the engine can raise alerts: without it, nobody is
	// told by a runbook that says escalate.
	Escalates bool
	Gamedays  Gamedays
	Log       *slog.Logger
	// KeepAlive is the pause between signs of life in a stream; 10s unless set.
	KeepAlive time.Duration
}

type server struct {
	Deps
	api huma.API
}

// New is the handler of everything below Prefix.
func New(d Deps) http.Handler {
	mux := http.NewServeMux()
	s := &server{Deps: d, api: humago.New(mux, config(d.Version))}
	s.api.UseMiddleware(s.authorize)
	s.halt()
	s.runbooks()
	s.actions()
	s.runs()
	s.events()
	s.decisions()
	s.resolve()
	s.guards()
	s.plans()
	s.gamedays()
	mux.HandleFunc("/", s.noSuchPath)
	return s.tellHalted(s.looking(mux))
}

func config(version string) huma.Config {
	c := huma.DefaultConfig("Runbook", version)
	c.Info.Description = "Runbooks and their runs. Errors are RFC 9457 problems; `type` ends in a stable code."
	c.OpenAPIPath = Prefix + "/openapi"
	c.SchemasPath = ""
	c.DocsPath = "" // the ready-made pages load scripts from elsewhere
	c.CreateHooks = nil
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer"}, "basic": {Type: "http", Scheme: "basic"}, "certificate": {Type: "mutualTLS"},
	}
	c.Security = []map[string][]string{{"bearer": {}}, {"basic": {}}, {"certificate": {}}, {}} // as the engine is configured
	c.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", schemaName)
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{addCode}
	return c
}

// schemaName tells types of drills from those of runs, which have the same names.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	switch path.Base(t.PkgPath()) {
	case "gameday", "verdict", "drills", "chaos", "gamedays":
		return "Drill" + name
	}
	return name
}

// operation fills in what all have in common.
func operation(id, method, path, summary string, problems ...int) huma.Operation {
	need, declared := needs[id]
	if !declared {
		panic("api: operation " + id + " does not say which role it needs")
	}
	return huma.Operation{
		OperationID: id, Method: method, Path: Prefix + path, Summary: summary, Errors: append(problems, http.StatusUnauthorized, http.StatusForbidden),
		MaxBodyBytes: maxBody, Extensions: map[string]any{roleExtension: need.role},
	}
}
