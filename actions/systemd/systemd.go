// Package systemd restarts units of systemd on the engine's own machine.
package systemd

import (
	"context"
	"path"

	"github.com/runbook-engine/runbook/actions"
)

// System is the connection to systemd and the actions on its units.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: machine.Erase(),
		Actions: []actions.Action{
			restart(conns),
		},
	}
}

type config struct {
	Systemctl string   `json:"systemctl" default:"/usr/bin/systemctl" pattern:"^/" doc:"The program, as an absolute path."`
	Sudo      bool     `json:"sudo" default:"false" doc:"Call it through sudo -n, where the engine does not run as root and no polkit rule lets it restart the units."`
	Units     []string `json:"units" min:"1" doc:"Shell patterns for the units that steps may restart. Every other one is refused." example:"orders-*.service"`
}

type client struct {
	name string // of the connection
	config
}

var machine = actions.Connection[config, *client]{
	Kind: "systemd",
	Doc:  "systemd on the engine's own machine.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		for _, pattern := range c.Units {
			if _, err := path.Match(pattern, ""); err != nil {
				return nil, actions.Permanent(err)
			}
		}
		return &client{name, c}, nil
	},
}

func (c config) allows(unit string) bool {
	for _, pattern := range c.Units {
		if fits, err := path.Match(pattern, unit); err == nil && fits {
			return true
		}
	}
	return false
}
