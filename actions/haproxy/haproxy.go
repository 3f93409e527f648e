// Package haproxy leads clients to servers, and away from them, by HAProxy's
// runtime API. What it changes holds until HAProxy is started or reloaded, unless
// its configuration has load-server-state-from-file.
package haproxy

import (
	"context"

	"github.com/runbook-engine/runbook/actions"
)

// System is the connection to a HAProxy and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: runtime.Erase(),
		Actions: []actions.Action{
			servers(conns),
			setAddress(conns),
			setState(conns),
		},
	}
}

type config struct {
	Address string `json:"address" pattern:"^(/.+|[^/]+:[0-9]+)$" doc:"Where the runtime API listens: the path of its Unix socket, or host:port. To change servers, its stats socket needs level admin." example:"/run/haproxy/admin.sock"`
}

var runtime = actions.Connection[config, *client]{
	Kind: "haproxy",
	Doc:  "The runtime API of a HAProxy.",
	Open: func(_ context.Context, name string, c config) (*client, error) { return &client{name, c.Address}, nil },
}
