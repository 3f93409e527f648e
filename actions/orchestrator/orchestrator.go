// Package orchestrator asks Orchestrator, which looks after MySQL and MariaDB
// topologies, who the master is, and to make another server the master.
package orchestrator

import (
	"context"
	"fmt"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/restapi"
)

// System is the connection to an Orchestrator and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: api.Erase(),
		Actions:    []actions.Action{cluster(conns), takeover(conns)},
	}
}

type config struct {
	URLs []string `json:"urls" min:"1" max:"16" doc:"Addresses of its nodes, with the URLPrefix if it has one. The first that answers is asked; with raft, it passes on to the leader what only that may do." example:"['http://10.0.0.31:3000', 'http://10.0.0.32:3000']"`
	restapi.Login
}

type client struct{ *restapi.API }

var api = actions.Connection[config, client]{
	Kind: "orchestrator",
	Doc:  "The HTTP API of an Orchestrator, which looks after MySQL and MariaDB topologies. With its authentication method multi, the user readonly may not change anything.",
	Open: func(_ context.Context, name string, c config) (client, error) {
		opened, err := restapi.Open(fmt.Sprintf("orchestrator %q", name), c.URLs, c.Login)
		if err != nil {
			return client{}, actions.Permanent(err)
		}
		return client{opened}, nil
	},
}
