package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	URL             string                 `json:"url" pattern:"^https?://" doc:"Address of the service, with a path prefix where there is one. Requests and credentials go nowhere else." example:"https://api.shop.example/v1"`
	BearerTokenFile secret.File            `json:"bearer_token_file,omitempty" optional:"true" doc:"File with a bearer token; read anew for each request."`
	Username        string                 `json:"username,omitempty" optional:"true" doc:"User for basic authentication."`
	PasswordFile    secret.File            `json:"password_file,omitempty" optional:"true" doc:"File with the password for basic authentication; read anew for each request."`
	HeaderFiles     map[string]secret.File `json:"header_files,omitempty" optional:"true" doc:"Headers that hold a secret, such as an API key: the name, and the file with the value."`
	CAFile          secret.File            `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the server's must be signed by, PEM; without it, those of the operating system."`
}

// client sends to one service, or, without a name, to any.
type client struct {
	name      string // of the connection
	base      *url.URL
	transport http.RoundTripper
}

var service = actions.Connection[config, *client]{
	Kind: "http",
	Doc:  "An HTTP service: where it is, and how we prove who we are.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened, err := open(name, c)
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
}

func open(name string, c config) (*client, error) {
	base, err := c.check()
	if err != nil {
		return nil, err
	}
	inside, err := newTransport(c.transport())
	if err != nil {
		return nil, err
	}
	outside, err := newTransport(promconfig.HTTPClientConfig{})
	if err != nil {
		return nil, err
	}
	return &client{name: name, base: base, transport: &split{origin(base), inside, outside}}, nil
}

// anonymous is the client for URLs without a connection.
var anonymous = sync.OnceValues(func() (*client, error) {
	transport, err := newTransport(promconfig.HTTPClientConfig{})
	if err != nil {
		return nil, fmt.Errorf("make an http client: %w", err)
	}
	return &client{transport: transport}, nil
})

// newTransport keeps no connection alive: on a kept one Go repeats a POST that
// has an Idempotency-Key by itself, and a probe would not see that new
// connections fail.
func newTransport(c promconfig.HTTPClientConfig) (http.RoundTripper, error) {
	c.EnableHTTP2 = true
	c.ProxyFromEnvironment = true
	return promconfig.NewRoundTripperFromConfig(c, "http", promconfig.WithKeepAlivesDisabled(), promconfig.WithUserAgent("runbook"))
}

// split keeps credentials from every place but the one they are for.
type split struct {
	origin          string
	inside, outside http.RoundTripper
}

func (s *split) RoundTrip(r *http.Request) (*http.Response, error) {
	if origin(r.URL) == s.origin {
		return s.inside.RoundTrip(r)
	}
	return s.outside.RoundTrip(r)
}

func (c config) check() (*url.URL, error) {
	base, err := parse(c.URL)
	switch {
	case err != nil:
		return nil, err
	case base.RawQuery != "":
		return nil, errors.New("the url of a connection must not have a query")
	case c.BearerTokenFile != "" && c.Username != "":
		return nil, errors.New("bearer_token_file and username exclude each other")
	case (c.Username == "") != (c.PasswordFile == ""):
		return nil, errors.New("username and password_file belong together")
	}
	for _, file := range c.files() {
		if _, err := file.Read(); err != nil {
			return nil, err
		}
	}
	return base, nil
}

func (c config) files() (files []secret.File) {
	for _, file := range []secret.File{c.BearerTokenFile, c.PasswordFile, c.CAFile} {
		if file != "" {
			files = append(files, file)
		}
	}
	for _, file := range c.HeaderFiles {
		files = append(files, file)
	}
	return files
}

func (c config) transport() promconfig.HTTPClientConfig {
	h := promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: string(c.CAFile)}}
	if c.BearerTokenFile != "" {
		h.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: string(c.BearerTokenFile)}
	}
	if c.Username != "" {
		h.BasicAuth = &promconfig.BasicAuth{Username: c.Username, PasswordFile: string(c.PasswordFile)}
	}
	if len(c.HeaderFiles) > 0 {
		h.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
		for name, file := range c.HeaderFiles {
			h.HTTPHeaders.Headers[name] = promconfig.Header{Files: []string{string(file)}}
		}
	}
	return h
}

// pick is the client for a URL: that of the connection, or, for a whole URL
// without one, one that has no credentials.
func pick(ctx context.Context, conns *actions.Connections, connection, rawURL string) (*client, error) {
	if connection == "" && whole.MatchString(rawURL) {
		return anonymous()
	}
	return service.Get(ctx, conns, connection)
}
