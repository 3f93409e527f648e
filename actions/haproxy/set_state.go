package haproxy

import (
	"context"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// The administrative states of a server.
const (
	ready = "ready"
	drain = "drain"
	maint = "maint"
)

type setStateParams struct {
	Proxy       string `json:"proxy,omitempty" optional:"true" connection:"haproxy" doc:"Connection to the proxy; the only one when absent."`
	Backend     string `json:"backend" pattern:"^[A-Za-z0-9_.:-]+$" doc:"Backend, or listen section, of the server." example:"orders"`
	Server      string `json:"server" pattern:"^[A-Za-z0-9_.:-]+$" doc:"Name of the server in that backend." example:"orders-a"`
	State       string `json:"state" enum:"ready|drain|maint" doc:"ready: it gets clients; drain: it gets no new ones; maint: it gets none."`
	EndSessions bool   `json:"end_sessions" default:"false" doc:"End the connections of clients that the server has. With maint no client reaches it by this proxy any more: that is a fence, as far as all clients come this way."`
}

func setState(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[setStateParams, server]{
		Name: "haproxy.set_state",
		Doc: "Give a server its clients, or take them away. It is done when HAProxy shows it. " +
			"It can not be undone by itself: a server that was fenced must not come back by accident.",
		Risk:    actions.Disruptive,
		Example: "{proxy: edge, backend: orders, server: orders-a, state: maint, end_sessions: true}",
		Target:  func(p setStateParams) string { return "server/" + p.Backend + "/" + p.Server },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p setStateParams) (server, error) {
			c, err := runtime.Get(ctx, conns, p.Proxy)
			if err != nil {
				return server{}, err
			}
			s, err := c.setState(ctx, p)
			if err != nil {
				return server{}, c.failure(ctx, fmt.Sprintf("set server %s/%s to %s at", p.Backend, p.Server, p.State), err)
			}
			return s, nil
		},
		Timeout: 4 * answerWithin,
	})
}

func (c *client) setState(ctx context.Context, p setStateParams) (server, error) {
	place := p.Backend + "/" + p.Server
	if _, err := c.one(ctx, p.Backend, p.Server); err != nil {
		return server{}, err
	}
	if _, err := c.ask(ctx, "set server "+place+" state "+p.State); err != nil {
		return server{}, err
	}
	if p.EndSessions {
		if _, err := c.ask(ctx, "shutdown sessions server "+place); err != nil {
			return server{}, err
		}
	}
	s, err := c.await(ctx, p.Backend, p.Server, func(s server) bool { return s.State == p.State })
	if err != nil || !p.EndSessions || p.State == ready {
		return s, err
	}
	return c.empty(ctx, p)
}

const emptyWithin = 300 * time.Millisecond

// empty gives connections a moment to close. From the order on, nothing that a
// client sends reaches the server. Those that stay have been given up by their
// clients before; HAProxy waits for the server to close its side, up to its
// timeout server-fin, and can not be told to end them.
func (c *client) empty(ctx context.Context, p setStateParams) (server, error) {
	deadline := time.Now().Add(emptyWithin)
	return c.await(ctx, p.Backend, p.Server, func(s server) bool { return s.Sessions == 0 || time.Now().After(deadline) })
}
