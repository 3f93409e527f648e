package prometheus

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	URL             string      `json:"url" pattern:"^https?://" doc:"Address, with the path prefix where there is one." example:"http://prometheus:9090"`
	BearerTokenFile secret.File `json:"bearer_token_file,omitempty" optional:"true" doc:"File with a bearer token; read anew for each query."`
	Username        string      `json:"username,omitempty" optional:"true" doc:"User for basic authentication."`
	PasswordFile    secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password for basic authentication; read anew for each query."`
	CAFile          secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the server's must be signed by, PEM; without it, those of the operating system."`
}

type client struct {
	name string // of the connection
	api  v1.API
	http *http.Client
}

var server = actions.Connection[config, *client]{
	Kind: "prometheus",
	Doc:  "A Prometheus, or a server with its HTTP API.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened, err := open(name, c)
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
	Close: func(c *client) { c.http.CloseIdleConnections() },
}

func open(name string, c config) (*client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	transport, err := promconfig.NewRoundTripperFromConfig(c.transport(), "prometheus")
	if err != nil {
		return nil, err
	}
	httpClient := &http.Client{
		Transport: &bounded{transport},
		// A Prometheus does not redirect; a login page does.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	apiClient, err := api.NewClient(api.Config{Address: c.URL, Client: httpClient})
	if err != nil {
		return nil, err
	}
	return &client{name: name, api: v1.NewAPI(apiClient), http: httpClient}, nil
}

func (c config) check() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "":
		return errors.New("url is no URL of a server, such as http://prometheus:9090")
	case u.User != nil:
		return errors.New("url must not hold a user or a password; use username and password_file")
	case c.BearerTokenFile != "" && c.Username != "":
		return errors.New("bearer_token_file and username exclude each other")
	case (c.Username == "") != (c.PasswordFile == ""):
		return errors.New("username and password_file belong together")
	}
	for _, file := range []secret.File{c.BearerTokenFile, c.PasswordFile, c.CAFile} {
		if file == "" {
			continue
		}
		if _, err := file.Read(); err != nil {
			return err
		}
	}
	return nil
}

func (c config) transport() promconfig.HTTPClientConfig {
	h := promconfig.HTTPClientConfig{
		EnableHTTP2: true,
		TLSConfig:   promconfig.TLSConfig{CAFile: string(c.CAFile)},
	}
	if c.BearerTokenFile != "" {
		h.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: string(c.BearerTokenFile)}
	}
	if c.Username != "" {
		h.BasicAuth = &promconfig.BasicAuth{Username: c.Username, PasswordFile: string(c.PasswordFile)}
	}
	return h
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 8 << 20

// bounded keeps a query with a vast answer from taking the engine's memory.
type bounded struct{ next http.RoundTripper }

func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err == nil {
		response.Body = http.MaxBytesReader(nil, response.Body, maxAnswer)
	}
	return response, err
}

func (b *bounded) CloseIdleConnections() {
	if idle, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		idle.CloseIdleConnections()
	}
}
