// Package restapi reaches an HTTP API that each of several nodes serves.
package restapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/internal/secret"
)

// Login is what a connection says of who asks, and of whom it trusts.
type Login struct {
	Username     string      `json:"username,omitempty" optional:"true" doc:"User for basic authentication."`
	PasswordFile secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password for basic authentication; read anew for each request."`
	CAFile       secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the servers' must be signed by, PEM; without it, those of the operating system."`
}

// API is one that several nodes serve.
type API struct {
	name  string // as errors call it: patroni "orders"
	nodes []string
	http  *http.Client
}

// AnswerWithin is how long a node may take to answer to what it knows already.
const AnswerWithin = 5 * time.Second

const maxAnswer = 8 << 20

// Open takes the addresses of the nodes, which hold no user. A connection to a node
// is used once: on one that was used before, Go's client sends a GET again by itself
// when its answer is lost, and there are APIs in which a GET changes something.
func Open(name string, nodes []string, l Login) (*API, error) {
	for _, text := range nodes {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("each of urls must be an address without a user, such as http://10.0.0.11:8008")
		}
	}
	if (l.Username == "") != (l.PasswordFile == "") {
		return nil, errors.New("username and password_file belong together")
	}
	config := promconfig.HTTPClientConfig{TLSConfig: promconfig.TLSConfig{CAFile: string(l.CAFile)}}
	if l.Username != "" {
		config.BasicAuth = &promconfig.BasicAuth{Username: l.Username, PasswordFile: string(l.PasswordFile)}
	}
	transport, err := promconfig.NewRoundTripperFromConfig(config, name, promconfig.WithKeepAlivesDisabled())
	if err != nil {
		return nil, err
	}
	return &API{name, nodes, &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// First asks each node in turn until one answers, be it with a refusal, and says
// which did.
func (a *API) First(ctx context.Context, ask func(node string) error) (node string, err error) {
	var failed []error
	for _, node := range a.nodes {
		err := ask(node)
		var no Refused
		if err == nil || errors.As(err, &no) || ctx.Err() != nil {
			return node, err
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}

// Send gives what one node answers within a time, also with the error Refused,
// which is an answer that is no success. The path stands behind the address of the
// node; a body is sent as JSON.
func (a *API) Send(ctx context.Context, within time.Duration, method, node, path string, body any) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	sent, err := encode(body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(node, "/")+path, bytes.NewReader(sent))
	if err != nil {
		return nil, err
	}
	answer, err := a.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil && answer.StatusCode >= 300 {
		err = refusal(answer.StatusCode, text)
	}
	return text, err
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}
