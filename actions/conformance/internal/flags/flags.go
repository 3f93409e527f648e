// Package flags is the example of docs/adding-an-action.md: feature flags, kept
// as a folder with one file for each, which says "on", or who turned it off.
package flags

import (
	"context"
	"fmt"
	"os"

	"github.com/runbook-engine/runbook/actions"
)

// System is the connection to a store of flags and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: store.Erase(),
		Actions: []actions.Action{
			disable(conns),
		},
	}
}

type config struct {
	Dir string `json:"dir" doc:"The folder of the flags." example:"/etc/shop/flags"`
}

type client struct {
	name string // of the connection
	root *os.Root
}

var store = actions.Connection[config, *client]{
	Kind: "flags",
	Doc:  "A folder of feature flags.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		root, err := os.OpenRoot(c.Dir)
		if err != nil {
			return nil, fmt.Errorf("open the folder of flags: %w", err)
		}
		return &client{name, root}, nil
	},
	Close: func(c *client) { c.root.Close() },
}
