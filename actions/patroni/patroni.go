// Package patroni asks Patroni, which looks after a PostgreSQL cluster, to change
// who leads it. Patroni itself fences, promotes and lets clients know.
package patroni

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/restapi"
)

// System is the connection to a Patroni and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: api.Erase(),
		Actions:    []actions.Action{cluster(conns), failover(conns), switchover(conns)},
	}
}

type config struct {
	URLs []string `json:"urls" min:"1" max:"16" doc:"Addresses of the members' REST APIs. The first that answers is asked." example:"['http://10.0.0.11:8008', 'http://10.0.0.12:8008']"`
	restapi.Login
}

type client struct{ *restapi.API }

var api = actions.Connection[config, client]{
	Kind: "patroni",
	Doc:  "The REST API of a cluster that Patroni looks after.",
	Open: func(_ context.Context, name string, c config) (client, error) {
		opened, err := restapi.Open(fmt.Sprintf("patroni %q", name), c.URLs, c.Login)
		if err != nil {
			return client{}, actions.Permanent(err)
		}
		return client{opened}, nil
	},
}

const maxMembers = 16

// members asks each member in turn, until one answers, and says which did.
func (c client) members(ctx context.Context) (m members, node string, err error) {
	node, err = c.First(ctx, func(node string) error {
		text, err := c.Send(ctx, restapi.AnswerWithin, http.MethodGet, node, "/cluster", nil)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &m)
	})
	return m, node, err
}
