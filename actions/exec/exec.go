// Package exec runs commands on the machine of the engine: those, and only
// those, that its config allows.
package exec

import (
	"context"
	"os"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/argv"
)

// System is the list of allowed commands, which counts as a connection, and the
// action that runs one.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: machine.Erase(),
		Actions: []actions.Action{
			command(conns),
		},
	}
}

type config struct {
	Allow []argv.Rule `json:"allow" min:"1" doc:"The commands that steps may run. Every other one is refused."`
	Env   []string    `json:"env,omitempty" optional:"true" doc:"Variables that commands get besides PATH and LANG: NAME hands on the engine's own, NAME=value sets it." example:"KUBECONFIG"`
	Dir   string      `json:"dir" default:"/" pattern:"^/" doc:"Folder that commands run in."`
}

type client struct {
	name string // of the connection
	config
}

var machine = actions.Connection[config, *client]{
	Kind: "exec",
	Doc:  "The engine's own machine. Without such a connection no command can be run.",
	Open: func(_ context.Context, name string, c config) (*client, error) { return &client{name, c}, nil },
}

// environment is all that a command gets: the engine's own may hold secrets.
func (c config) environment() []string {
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	for _, entry := range c.Env {
		if strings.Contains(entry, "=") {
			env = append(env, entry)
		} else if value, set := os.LookupEnv(entry); set {
			env = append(env, entry+"="+value)
		}
	}
	return env
}
