// Package client speaks to the engine's HTTP interface. The command line
// reaches the engine only through it, whether the engine is a server or in the
// same process.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
)

// Options say how to reach the engine.
type Options struct {
	Token string            // bearer token, if the engine wants one
	HTTP  http.RoundTripper // http.DefaultTransport unless set
	// Halted hears of the kill switch with each answer in which it is on.
	Halted func(*ledger.Halt)
}

// Client is safe for concurrent use.
type Client struct {
	base   string
	token  string
	http   *http.Client
	halted func(*ledger.Halt)
}

// New makes a client for the engine at a URL.
func New(base string, o Options) (*Client, error) {
	u, err := url.Parse(base)
	if err == nil && u.User != nil {
		return nil, errors.New("a server has no user and no password in its URL; say --token-file")
	}
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("the server must be a URL such as http://127.0.0.1:7250, not %q", base)
	}
	return &Client{
		base: strings.TrimRight(base, "/") + api.Prefix, token: o.Token, http: &http.Client{Transport: o.HTTP}, halted: o.Halted,
	}, nil
}

// Problem is what the engine answered instead of what was asked for.
type Problem struct {
	Status int
	Code   string // of package api
	Detail string
	Errors []string
}

func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = http.StatusText(p.Status)
	}
	for _, e := range p.Errors {
		text += "\n  " + e
	}
	return text
}

// Unreachable is an engine that did not answer.
type Unreachable struct {
	URL string
	Err error
}

func (u *Unreachable) Error() string { return fmt.Sprintf("reach the engine at %s: %v", u.URL, u.Err) }
func (u *Unreachable) Unwrap() error { return u.Err }

// Runbooks are the documents that the engine has loaded.
func (c *Client) Runbooks(ctx context.Context) (list []api.Runbook, err error) {
	return list, c.call(ctx, http.MethodGet, "/runbooks", nil, &list)
}

// Runbook is one of them, whole.
func (c *Client) Runbook(ctx context.Context, name string) (detail api.RunbookDetail, err error) {
	return detail, c.call(ctx, http.MethodGet, "/runbooks/"+url.PathEscape(name), nil, &detail)
}

// Start asks for a run.
func (c *Client) Start(ctx context.Context, start api.Start) (started api.Started, err error) {
	return started, c.call(ctx, http.MethodPost, "/runs", start, &started)
}

// Filter says which runs a list has.
type Filter = runs.Filter

// Runs lists runs, newest first.
func (c *Client) Runs(ctx context.Context, f Filter) (rows []runs.Row, err error) {
	q := url.Values{}
	for key, value := range map[string]string{"runbook": f.Runbook, "outcome": f.Outcome} {
		if value != "" {
			q.Set(key, value)
		}
	}
	for key, value := range map[string]bool{"running": f.Running, "dry_runs": f.DryRuns} {
		if value {
			q.Set(key, "true")
		}
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return rows, c.call(ctx, http.MethodGet, "/runs?"+q.Encode(), nil, &rows)
}

// Run is the state of a run.
func (c *Client) Run(ctx context.Context, id string) (r run.Run, err error) {
	return r, c.call(ctx, http.MethodGet, "/runs/"+url.PathEscape(id), nil, &r)
}

// Cancel asks a run to stop.
func (c *Client) Cancel(ctx context.Context, id string, cancel api.Cancel) error {
	return c.call(ctx, http.MethodPost, "/runs/"+url.PathEscape(id)+"/cancel", cancel, nil)
}

func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	answer, err := c.send(ctx, method, path, body, "application/json")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return c.unreachable(ctx, fmt.Errorf("read the engine's answer to %s %s: %w", method, path, err))
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, body any, accept string) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request %s %s: %w", method, path, err)
		}
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, content)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", accept)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if h := api.HaltOf(answer.Header); h != nil && c.halted != nil {
		c.halted(h)
	}
	if answer.StatusCode >= http.StatusBadRequest {
		defer answer.Body.Close()
		return nil, problemOf(answer)
	}
	return answer, nil
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return &Unreachable{URL: strings.TrimSuffix(c.base, api.Prefix), Err: err}
}

const maxProblem = 1 << 20

func problemOf(answer *http.Response) error {
	p := &Problem{Status: answer.StatusCode}
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("read the engine's answer (%s): %w", answer.Status, err)
	}
	var model api.Problem
	if json.Unmarshal(raw, &model) != nil {
		p.Detail = fmt.Sprintf("%s answered %s, not as an engine does: %s", answer.Request.URL.Host, answer.Status, firstLine(raw))
		return p
	}
	p.Code, p.Detail = api.CodeOf(&model), model.Detail
	for _, e := range model.Errors {
		p.Errors = append(p.Errors, e.Error())
	}
	return p
}

const longestLine = 200

func firstLine(raw []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(raw)), "\n")
	return line[:min(len(line), longestLine)]
}
