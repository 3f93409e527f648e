// Package toxiproxy disturbs TCP connections that run through a toxiproxy: one
// that the engine runs itself, as a child, or a server that is there already.
package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
)

// Injector is the connection to a proxy and the faults on it.
func Injector(conns *actions.Connections) chaos.Injector {
	i := injector{conns}
	return chaos.Injector{
		Name:       "toxiproxy",
		Connection: connection.Erase(),
		Faults: []chaos.Fault{
			bandwidth(i),
			blackHole(i),
			down(i),
			latency(i),
			limitData(i),
			resetPeer(i),
			slowClose(i),
		},
		Active: i.active,
		Heal:   i.heal,
	}
}

// Modes are what the engine's own binary does as a child of this injector.
func Modes() []backstop.Mode {
	return []backstop.Mode{
		{Name: serveMode, Run: serve, Last: 10 * time.Second},
		{Name: guardMode, Run: guard, Last: insists + 10*time.Second},
	}
}

type config struct {
	Listen   string `json:"listen,omitempty" optional:"true" doc:"Address that the engine's own proxy listens on, host:port; clients connect to it instead of upstream." example:"127.0.0.1:15432"`
	Upstream string `json:"upstream,omitempty" optional:"true" doc:"Address that the engine's own proxy connects to, host:port." example:"127.0.0.1:5432"`
	URL      string `json:"url,omitempty" optional:"true" pattern:"^http://[^/@]+$" doc:"API of a toxiproxy-server that is there already, instead of listen and upstream." example:"http://127.0.0.1:8474"`
	Proxy    string `json:"proxy,omitempty" optional:"true" doc:"Name of the proxy on that server."`
}

func (c config) check() error {
	if c.URL != "" {
		if c.Listen != "" || c.Upstream != "" {
			return errors.New("url excludes listen and upstream: the server says where its proxies listen")
		}
		if c.Proxy == "" {
			return errors.New("url needs proxy, the name of the proxy on that server")
		}
		return nil
	}
	if c.Proxy != "" {
		return errors.New("proxy is the name on a server that is there already, and needs its url")
	}
	return errors.Join(checkAddress("listen", c.Listen), checkAddress("upstream", c.Upstream))
}

func checkAddress(key, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" || port == "0" {
		return fmt.Errorf("%s %q is no address like 127.0.0.1:15432", key, address)
	}
	return nil
}

var connection = actions.Connection[config, *client]{
	Kind: "toxiproxy",
	Doc:  "A TCP proxy that faults can disturb. The engine runs it as long as it runs itself, unless the proxy is on a server that is there already.",
	Open: open,
	Close: func(c *client) {
		if c.keeper != nil {
			c.keeper.close()
		}
	},
}

func open(ctx context.Context, name string, c config) (*client, error) {
	if err := c.check(); err != nil {
		return nil, actions.Permanent(err)
	}
	if c.URL != "" {
		return &client{name: name, proxy: c.Proxy, api: api{c.URL, &http.Client{}}, guards: newGuards()}, nil
	}
	k, err := keep(ctx, serveSpec{Name: name, Listen: c.Listen, Upstream: c.Upstream})
	if err != nil {
		return nil, err
	}
	return &client{name: name, proxy: name, api: k.api(), keeper: k}, nil
}

type injector struct{ conns *actions.Connections }

// define declares a fault by what it does to a proxy.
func define[P any](i injector, name, doc, example string, proxy func(P) string, does func(P) disturbance) chaos.Fault {
	get := func(ctx context.Context, p P) (*client, error) {
		if wrong := does(p).wrong; wrong != nil {
			return nil, actions.Permanent(wrong)
		}
		return connection.Get(ctx, i.conns, proxy(p))
	}
	return chaos.Define(chaos.Def[P]{
		Name: "toxiproxy." + name, Doc: doc, Example: example,
		Targets: func(ctx context.Context, p P) (chaos.Selection, error) {
			c, err := get(ctx, p)
			if err != nil {
				return chaos.Selection{}, err
			}
			return c.targets(ctx)
		},
		Inject: func(ctx context.Context, id chaos.ID, p P, deadline time.Time) error {
			c, err := get(ctx, p)
			if err != nil {
				return err
			}
			return c.inject(ctx, mark{name, deadline, id}, does(p))
		},
		Recover: func(ctx context.Context, id chaos.ID, p P) error {
			c, err := get(ctx, p)
			if err != nil {
				return err
			}
			return c.recover(ctx, id)
		},
		Healed: func(ctx context.Context, id chaos.ID, p P) error {
			c, err := get(ctx, p)
			if err != nil {
				return err
			}
			return c.healed(ctx, id)
		},
	})
}

func (i injector) active(ctx context.Context) (all []chaos.Injection, err error) {
	for _, name := range i.conns.Names(connection.Kind) {
		c, failed := connection.Get(ctx, i.conns, name)
		if failed == nil {
			var found []chaos.Injection
			found, failed = c.active(ctx)
			all = append(all, found...)
		}
		err = errors.Join(err, failed)
	}
	return all, err
}

func (i injector) heal(ctx context.Context, found chaos.Injection) error {
	c, err := connection.Get(ctx, i.conns, found.Place)
	if err != nil {
		return err
	}
	if err := c.recover(ctx, found.ID); err != nil {
		return err
	}
	return c.healed(ctx, found.ID)
}
