package pprof

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	URL             string      `json:"url" pattern:"^https?://[^/]+" doc:"Where the service has its profiles." example:"http://orders-1.shop.example:6060/debug/pprof"`
	BearerTokenFile secret.File `json:"bearer_token_file,omitempty" optional:"true" doc:"File with a bearer token; read anew for each request."`
	CAFile          secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the service's must be signed by, PEM; without it, those of the operating system."`
}

type client struct {
	name string // of the connection
	base *url.URL
	http *http.Client
}

var service = actions.Connection[config, *client]{
	Kind: "pprof",
	Doc:  "A Go service that serves net/http/pprof.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened, err := open(name, c)
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
}

func open(name string, c config) (*client, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.User != nil || base.RawQuery != "" {
		return nil, errors.New("url is no address like http://host:6060/debug/pprof, without user, password and query")
	}
	h := promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: string(c.CAFile)}}
	if c.BearerTokenFile != "" {
		h.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: string(c.BearerTokenFile)}
		if _, err := c.BearerTokenFile.Read(); err != nil {
			return nil, err
		}
	}
	transport, err := promconfig.NewRoundTripperFromConfig(h, "pprof", promconfig.WithKeepAlivesDisabled(), promconfig.WithUserAgent("runbook"))
	if err != nil {
		return nil, err
	}
	// A redirect could lead the token elsewhere.
	asItIs := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{name, base, &http.Client{Transport: transport, CheckRedirect: asItIs}}, nil
}

// maxBytes is the largest profile: far more than a service has, and little
// enough to hold.
const maxBytes = 64 << 20

func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	u := *c.base
	u.Path, u.RawQuery = strings.TrimSuffix(u.Path, "/")+"/"+path, query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, actions.Permanent(err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%s answers %s", u.Redacted(), answer.Status)
	case answer.StatusCode != http.StatusOK:
		return nil, actions.Permanent(fmt.Errorf("%s answers %s; is url where the service has its profiles, and may we see them?", u.Redacted(), answer.Status))
	case len(content) > maxBytes:
		return nil, actions.Permanent(fmt.Errorf("the profile is larger than %d bytes", maxBytes))
	}
	return content, nil
}
