package haproxy

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/runbook-engine/runbook/actions"
)

type setAddressParams struct {
	Proxy   string `json:"proxy,omitempty" optional:"true" connection:"haproxy" doc:"Connection to the proxy; the only one when absent."`
	Backend string `json:"backend" pattern:"^[A-Za-z0-9_.:-]+$" doc:"Backend, or listen section, of the server." example:"orders"`
	Server  string `json:"server" pattern:"^[A-Za-z0-9_.:-]+$" doc:"Name of the server in that backend." example:"primary"`
	IP      string `json:"ip" pattern:"^[0-9A-Fa-f.:]+$" doc:"IP address that clients are led to." example:"10.0.0.12"`
	Port    int    `json:"port" min:"1" max:"65535" doc:"Port that clients are led to." example:"5432"`
}

func setAddress(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[setAddressParams, server]{
		Name: "haproxy.set_address",
		Doc: "Lead the clients of a server to another address, and end the connections to the one before. " +
			"Its state stays: one that is in maintenance gets no clients there either.",
		Risk:    actions.Disruptive,
		Example: "{proxy: edge, backend: orders, server: primary, ip: 10.0.0.12, port: 5432}",
		Target:  func(p setAddressParams) string { return "server/" + p.Backend + "/" + p.Server },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p setAddressParams) (server, error) {
			c, err := runtime.Get(ctx, conns, p.Proxy)
			if err != nil {
				return server{}, err
			}
			s, err := c.setAddress(ctx, p)
			if err != nil {
				return server{}, c.failure(ctx, fmt.Sprintf("set the address of server %s/%s at", p.Backend, p.Server), err)
			}
			return s, nil
		},
		Timeout: 4 * answerWithin,
	})
}

// setAddress leaves those alone who are connected to the right place already. It
// ends connections before and after: should it be cut off between, those who were
// led to the old address for long are gone.
func (c *client) setAddress(ctx context.Context, p setAddressParams) (server, error) {
	place, address := p.Backend+"/"+p.Server, net.JoinHostPort(p.IP, strconv.Itoa(p.Port))
	if net.ParseIP(p.IP) == nil {
		return server{}, actions.Permanent(fmt.Errorf("%q is no IP address", p.IP))
	}
	s, err := c.one(ctx, p.Backend, p.Server)
	if err != nil || s.Address == address {
		return s, err
	}
	end := "shutdown sessions server " + place
	for _, command := range []string{end, fmt.Sprintf("set server %s addr %s port %d", place, p.IP, p.Port), end} {
		if _, err := c.ask(ctx, command); err != nil {
			return server{}, err
		}
	}
	return c.await(ctx, p.Backend, p.Server, func(s server) bool { return s.Address == address })
}
