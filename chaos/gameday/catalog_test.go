package gameday_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/http"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/actions/prometheus"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

type holdParams struct {
	Database string `json:"database" connection:"postgres" doc:"Database."`
	Count    int    `json:"count" default:"10" min:"1" max:"100" doc:"Connections."`
}

type partitionParams struct {
	Namespace string            `json:"namespace" doc:"Namespace."`
	Labels    map[string]string `json:"labels" min:"1" doc:"Labels."`
	Target    *partitionTarget  `json:"target,omitempty" optional:"true" doc:"The other side."`
}

type partitionTarget struct {
	Namespaces []string `json:"namespaces" doc:"Namespaces."`
}

// testFaults are faults that can be named and not injected: documents only need
// their declarations.
func testFaults() *chaos.Catalog {
	return chaos.NewCatalog(
		injector("postgres", fault[holdParams]("postgres.hold_connections", "{database: orders, count: 5}", false)),
		injector("mesh",
			fault[partitionParams]("mesh.partition", "{namespace: shop, labels: {app: orders}}", false),
			fault[partitionParams]("mesh.kill", "{namespace: shop, labels: {app: orders}}", true)),
	)
}

func injector(name string, faults ...chaos.Fault) chaos.Injector {
	return chaos.Injector{
		Name: name, Faults: faults,
		Active: func(context.Context) ([]chaos.Injection, error) { return nil, nil },
		Heal:   func(context.Context, chaos.Injection) error { return errNotHere },
	}
}

var errNotHere = errors.New("there is no system here")

func fault[P any](name, example string, oneShot bool) chaos.Fault {
	d := chaos.Def[P]{
		Name: name, Doc: "A fault of the tests.", Example: example, OneShot: oneShot,
		Targets: func(context.Context, P) (chaos.Selection, error) { return chaos.Selection{}, errNotHere },
		Inject:  func(context.Context, chaos.ID, P, time.Time) error { return errNotHere },
	}
	if !oneShot {
		d.Recover = func(context.Context, chaos.ID, P) error { return errNotHere }
		d.Healed = func(context.Context, chaos.ID, P) error { return errNotHere }
	}
	return chaos.Define(d)
}

func testActions() *actions.Catalog {
	return actions.NewCatalog(http.System(nil), prometheus.System(nil), postgres.System(nil))
}

// poolRunbook is what the game days of the tests prove.
const poolRunbook = `
runbook: db-pool-exhausted
summary: Free an exhausted pool.
triggers: [{alert: DBPoolExhausted, matchers: ['severity=~"critical|page"']}]
guards: {resource: postgres/orders}
steps:
  - {id: pressure, do: prometheus.query, with: {query: up}}
  - {id: release, do: postgres.terminate_backends, with: {database: orders, state: idle in transaction, older_than: 2s, limit: 20}}
verify: {do: prometheus.query, with: {query: up}, until: value == 1}
`

func testOptions(t testing.TB, comment string) gameday.Options {
	t.Helper()
	o := gameday.Options{Actions: testActions(), Faults: testFaults()}
	if !strings.Contains(comment, "runbooks: unknown") {
		set, problems := runbooks.Load(diag.Sources{"pool.yaml": []byte(poolRunbook)}, runbooks.Options{Catalog: o.Actions})
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		o.Runbooks = set
	}
	for line := range strings.Lines(comment) {
		if names, ok := strings.CutPrefix(line, "windows:"); ok {
			o.Windows = strings.FieldsFunc(names, func(r rune) bool { return strings.ContainsRune(", \n", r) })
		}
		if config, ok := strings.CutPrefix(line, "connections:"); ok {
			o.Connections = connections(t, config)
		}
	}
	return o
}

func connections(t testing.TB, config string) *actions.Connections {
	t.Helper()
	nodes, problems := document.Parse("config.yaml", []byte(config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	all, problems := actions.NewConnections(testActions().Kinds(), nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
