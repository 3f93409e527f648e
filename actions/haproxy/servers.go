package haproxy

import (
	"context"

	"github.com/runbook-engine/runbook/actions"
)

type serversParams struct {
	Proxy   string `json:"proxy,omitempty" optional:"true" connection:"haproxy" doc:"Connection to the proxy; the only one when absent."`
	Backend string `json:"backend" pattern:"^[A-Za-z0-9_.:-]+$" doc:"Backend, or listen section, whose servers are listed." example:"orders"`
}

type serversResult struct {
	Servers []server `json:"servers" doc:"The servers, in the order of the configuration."`
	Up      int      `json:"up" doc:"How many of them get clients."`
}

func servers(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[serversParams, serversResult]{
		Name:    "haproxy.servers",
		Doc:     "List the servers of a backend: who gets clients, who is up, and how many clients each has.",
		Risk:    actions.ReadOnly,
		Example: "{proxy: edge, backend: orders}",
		Target:  func(p serversParams) string { return "backend/" + p.Backend },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p serversParams) (serversResult, error) {
			c, err := runtime.Get(ctx, conns, p.Proxy)
			if err != nil {
				return serversResult{}, err
			}
			all, err := c.list(ctx, p.Backend)
			if err != nil {
				return serversResult{}, c.failure(ctx, "list the servers of", err)
			}
			r := serversResult{Servers: all}
			for _, s := range all {
				if s.Up {
					r.Up++
				}
			}
			return r, nil
		},
		Timeout: 2 * answerWithin,
	})
}
