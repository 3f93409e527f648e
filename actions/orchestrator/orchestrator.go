// Package orchestrator asks Orchestrator, which looks after MySQL and MariaDB
// topologies, who the master is, and to make another server the master.
package orchestrator

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

// System is the connection to an Orchestrator and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: api.Erase(),
		Actions:    []actions.Action{cluster(conns), takeover(conns)},
	}
}

type config struct {
	URLs         []string    `json:"urls" min:"1" max:"16" doc:"Addresses of its nodes, with the URLPrefix if it has one. The first that answers is asked; with raft, it passes on to the leader what only that may do." example:"['http://10.0.0.31:3000', 'http://10.0.0.32:3000']"`
	Username     string      `json:"username,omitempty" optional:"true" doc:"User for basic authentication; with the method multi, not readonly."`
	PasswordFile secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password for basic authentication; read anew for each request."`
	CAFile       secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the nodes' must be signed by, PEM; without it, those of the operating system."`
}

type client struct {
	name string // of the connection
	urls []string
	http *http.Client
}

var api = actions.Connection[config, *client]{
	Kind: "orchestrator",
	Doc:  "The HTTP API of an Orchestrator, which looks after MySQL and MariaDB topologies.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened, err := open(name, c)
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
}

func open(name string, c config) (*client, error) {
	for _, text := range c.URLs {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("each of urls must be an address without a user, such as http://10.0.0.31:3000")
		}
	}
	if (c.Username == "") != (c.PasswordFile == "") {
		return nil, errors.New("username and password_file belong together")
	}
	h := promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: string(c.CAFile)}}
	if c.Username != "" {
		h.BasicAuth = &promconfig.BasicAuth{Username: c.Username, PasswordFile: string(c.PasswordFile)}
	}
	// On a connection that was used before, Go's client sends a GET again by itself
	// when its answer is lost. Here a GET can be a takeover.
	transport, err := promconfig.NewRoundTripperFromConfig(h, "orchestrator", promconfig.WithKeepAlivesDisabled())
	if err != nil {
		return nil, err
	}
	return &client{name, c.URLs, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}
