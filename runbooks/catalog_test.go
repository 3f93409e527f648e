package runbooks_test

import (
	"context"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// The catalogue of the tests has actions of every kind, in the shapes of the
// real ones. None of them is ever run.

type queryParams struct {
	Query      string `json:"query" min:"1" doc:"PromQL."`
	Reduce     string `json:"reduce,omitempty" optional:"true" enum:"max|min" doc:"What to make of several series."`
	Connection string `json:"connection,omitempty" optional:"true" connection:"prometheus" doc:"Connection."`
}

type queryResult struct {
	Value  float64 `json:"value" doc:"Value."`
	Series []struct {
		Labels map[string]string `json:"labels"`
		Value  float64           `json:"value"`
	} `json:"series" doc:"Series."`
}

type requestParams struct {
	Connection string            `json:"connection,omitempty" connection:"http" default:"" doc:"Connection; none for a whole URL."`
	URL        string            `json:"url" pattern:"^https?://" doc:"Address."`
	Method     string            `json:"method" default:"GET" enum:"GET|POST" doc:"Method."`
	Headers    map[string]string `json:"headers,omitempty" optional:"true" doc:"Headers."`
	Expect     []int             `json:"expect,omitempty" optional:"true" max:"5" doc:"Expected status."`
	Timeout    model.Duration    `json:"timeout" default:"10s" min:"10ms" max:"10m" doc:"Time to answer."`
}

type requestResult struct {
	Status   int            `json:"status" doc:"Status."`
	Body     string         `json:"body" doc:"Body."`
	JSON     any            `json:"json" doc:"Body as JSON."`
	Duration model.Duration `json:"duration" doc:"Time it took."`
}

type sessionsParams struct {
	Database  string         `json:"database" connection:"postgres" doc:"Connection."`
	State     string         `json:"state" enum:"idle|idle in transaction" doc:"State."`
	OlderThan model.Duration `json:"older_than" min:"0s" doc:"Age."`
	Limit     int            `json:"limit" default:"20" min:"1" max:"1000" doc:"At most."`
	Dry       bool           `json:"dry" default:"false" doc:"A boolean, for the tests."`
	Ratio     float64        `json:"ratio" default:"0.5" min:"0" max:"1" doc:"A number, for the tests."`
}

type sessionsResult struct {
	PID int `json:"pid" doc:"Process."`
}

type nameParams struct {
	Name string `json:"name" doc:"Name."`
}

func testCatalog() *actions.Catalog {
	return actions.NewCatalog(
		actions.System{
			Connection: actions.Connection[nameParams, string]{Kind: "prometheus"}.Erase(),
			Actions:    []actions.Action{single[queryParams, queryResult]("prometheus.query", actions.ReadOnly, "{query: up}")},
		},
		actions.System{
			Connection: actions.Connection[nameParams, string]{Kind: "postgres"}.Erase(),
			Actions: []actions.Action{
				actions.Define(actions.Def[sessionsParams, sessionsResult]{
					Name: "postgres.terminate_backends", Doc: "End sessions.", Risk: actions.Disruptive,
					Example: "{database: orders, state: idle, older_than: 30s}",
					Targets: func(context.Context, sessionsParams) (actions.Selection, error) { return actions.Selection{}, nil },
					Run: func(context.Context, actions.Key, actions.Target, sessionsParams) (sessionsResult, error) {
						return sessionsResult{}, nil
					},
				}),
				single[nameParams, actions.Nothing]("postgres.drop_table", actions.Destructive, "{name: a}"),
			},
		},
		actions.System{Actions: []actions.Action{
			single[requestParams, requestResult]("http.request", actions.ReadOnly, "{url: 'http://a'}"),
			single[nameParams, actions.Nothing]("kubernetes.rollout_restart", actions.Disruptive, "{name: a}"),
			single[nameParams, actions.Nothing]("alertmanager.silence", actions.Reversible, "{name: a}"),
		}},
	)
}

// single is an action with one target.
func single[P, R any](name string, risk actions.Risk, example string) actions.Action {
	d := actions.Def[P, R]{
		Name: name, Doc: "For tests.", Risk: risk, Example: example,
		Target: func(P) string { return "target/" + name },
		Run:    func(context.Context, actions.Key, actions.Target, P) (r R, err error) { return r, nil },
	}
	if risk == actions.Reversible {
		d.Undo = func(context.Context, actions.Key, actions.Target, P) error { return nil }
	}
	return actions.Define(d)
}

// connections are those of a config.
func connections(t testing.TB, config string) *actions.Connections {
	t.Helper()
	nodes, problems := document.Parse("config.yaml", []byte(config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	all, problems := actions.NewConnections(testCatalog().Kinds(), nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}
