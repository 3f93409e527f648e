// Package patroni asks Patroni, which looks after a PostgreSQL cluster, to change
// who leads it. Patroni itself fences, promotes and lets clients know.
package patroni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/secret"
)

// System is the connection to a Patroni and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: api.Erase(),
		Actions:    []actions.Action{cluster(conns), failover(conns), switchover(conns)},
	}
}

type config struct {
	URLs         []string    `json:"urls" min:"1" max:"16" doc:"Addresses of the members' REST APIs. The first that answers is asked." example:"['http://10.0.0.11:8008', 'http://10.0.0.12:8008']"`
	Username     string      `json:"username,omitempty" optional:"true" doc:"User for basic authentication."`
	PasswordFile secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password for basic authentication; read anew for each request."`
	CAFile       secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the members' must be signed by, PEM; without it, those of the operating system."`
}

type client struct {
	name string // of the connection
	urls []string
	http *http.Client
}

var api = actions.Connection[config, *client]{
	Kind: "patroni",
	Doc:  "The REST API of a cluster that Patroni looks after.",
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
	for _, text := range c.URLs {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("each of urls must be an address without a user, such as http://10.0.0.11:8008")
		}
	}
	if (c.Username == "") != (c.PasswordFile == "") {
		return nil, errors.New("username and password_file belong together")
	}
	h := promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: string(c.CAFile)}}
	if c.Username != "" {
		h.BasicAuth = &promconfig.BasicAuth{Username: c.Username, PasswordFile: string(c.PasswordFile)}
	}
	transport, err := promconfig.NewRoundTripperFromConfig(h, "patroni")
	if err != nil {
		return nil, err
	}
	return &client{name, c.URLs, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

const (
	answerWithin = 5 * time.Second
	maxAnswer    = 1 << 20
)

// members asks each member in turn, until one answers.
func (c *client) members(ctx context.Context) (members, error) {
	var failed []error
	for _, base := range c.urls {
		var m members
		text, err := c.send(ctx, answerWithin, http.MethodGet, base, "/cluster", nil)
		if err == nil {
			if err = json.Unmarshal([]byte(text), &m); err == nil {
				return m, nil
			}
		}
		if failed = append(failed, err); ctx.Err() != nil {
			break
		}
	}
	return members{}, errors.Join(failed...)
}

func (c *client) send(ctx context.Context, within time.Duration, method, base, path string, body any) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	sent, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(base, "/")+path, bytes.NewReader(sent))
	if err != nil {
		return "", err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return "", err
	}
	if answer.StatusCode >= 300 {
		return "", refused{answer.StatusCode, document.Shorten(strings.TrimSpace(string(text)), 300)}
	}
	return string(text), nil
}

// refused is an answer that is no success.
type refused struct {
	status int
	text   string
}

func (r refused) Error() string {
	text := fmt.Sprintf("it answers %d %s: %s", r.status, http.StatusText(r.status), r.text)
	if r.status == http.StatusUnauthorized {
		text += "; username and password_file of the connection must be those of restapi.authentication"
	}
	return text
}

// failure says what was being done to what.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	wrapped := fmt.Errorf("%s patroni %q: %w", what, c.name, oneLine{err})
	var r refused
	if actions.ClassOf(err) == actions.ClassPermanent || errors.As(err, &r) && r.status < 500 {
		return actions.Permanent(wrapped)
	}
	return wrapped
}

// oneLine is several errors in one line.
type oneLine struct{ error }

func (o oneLine) Error() string { return strings.ReplaceAll(o.error.Error(), "\n", "; ") }

func (o oneLine) Unwrap() error { return o.error }
