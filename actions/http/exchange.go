package http

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/net/http/httpguts"

	"github.com/runbook-engine/runbook/actions"
)

// exchange is one request and what is to become of the answer.
type exchange struct {
	method     string
	url        string
	headers    map[string]string
	body       string
	expect     func(status int) bool
	wants      string // what expect stands for
	timeout    time.Duration
	otherHosts bool
	repeatable bool // whether a second one does no harm
}

type result struct {
	Status    int               `json:"status" doc:"Status code."`
	Headers   map[string]string `json:"headers" doc:"Headers, with their names in lower case; without those that carry cookies or credentials."`
	Body      string            `json:"body" doc:"Body as text, at most 64 KiB of it."`
	Truncated bool              `json:"truncated" doc:"True when the body was longer."`
	JSON      json.RawMessage   `json:"json" doc:"The body as JSON; null when it is none, or truncated."`
	Duration  model.Duration    `json:"duration" doc:"Time from the first packet to the end of the body."`
}

const (
	maxBody      = 64 << 10
	maxRedirects = 10
)

// do gives the answer whatever its status, unless expect does not like it.
func (c *client) do(ctx context.Context, e exchange) (result, error) {
	r, err := c.send(ctx, e)
	if err != nil {
		return result{}, fmt.Errorf("%s %s: %w", e.method, place(c.name, e.url), err)
	}
	if !e.expect(r.Status) {
		return result{}, e.unexpected(r, place(c.name, e.url))
	}
	return r, nil
}

func (c *client) send(ctx context.Context, e exchange) (result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, e.timeout, tooLate(e.timeout))
	defer cancel()
	sent := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { sent = true }})
	request, err := c.request(ctx, e)
	if err != nil {
		return result{}, actions.Permanent(err)
	}
	began := time.Now()
	response, err := c.follow(e).Do(request)
	if err != nil {
		return result{}, e.classify(ctx, err, sent)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return result{}, e.classify(ctx, fmt.Errorf("read the answer: %w", err), sent)
	}
	return read(response, body, time.Since(began)), nil
}

func (c *client) request(ctx context.Context, e exchange) (*http.Request, error) {
	u, err := c.resolve(e.url)
	if err != nil {
		return nil, err
	}
	var body io.Reader
	if e.body != "" {
		body = strings.NewReader(e.body)
	}
	r, err := http.NewRequestWithContext(ctx, e.method, u.String(), body)
	if err != nil {
		return nil, errURL
	}
	for name, value := range e.headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("the header %q is not valid", name)
		}
		r.Header.Set(name, value)
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	return r, nil
}

func read(response *http.Response, body []byte, took time.Duration) result {
	r := result{Status: response.StatusCode, Headers: headers(response.Header), Duration: model.Duration(took)}
	if r.Truncated = len(body) > maxBody; r.Truncated {
		body = body[:maxBody]
	} else if json.Valid(body) {
		r.JSON = body
	}
	r.Body = strings.ToValidUTF8(string(body), "\uFFFD")
	return r
}

// carriesSecrets are headers of answers that hold what nobody else should have.
var carriesSecrets = []string{"Set-Cookie", "Set-Cookie2", "Authorization", "Authentication-Info", "Proxy-Authentication-Info"}

func headers(all http.Header) map[string]string {
	shown := map[string]string{}
	for name, values := range all {
		if !slices.Contains(carriesSecrets, textproto.CanonicalMIMEHeaderKey(name)) {
			shown[strings.ToLower(name)] = strings.ToValidUTF8(strings.Join(values, ", "), "\uFFFD")
		}
	}
	return shown
}

// follow is the client with the rule for redirects.
func (c *client) follow(e exchange) *http.Client {
	return &http.Client{Transport: c.transport, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		first := before[0]
		if len(before) >= maxRedirects {
			return fmt.Errorf("%w: more than %d redirects", errRedirect, maxRedirects)
		}
		if origin(next.URL) == origin(first.URL) {
			return nil
		}
		if !e.otherHosts {
			return fmt.Errorf("%w: it redirects to another host, %s; ask that one, or set follow_other_hosts", errRedirect, origin(next.URL))
		}
		// What a step or a connection says to one host is not for another, and nor
		// is the URL that led there.
		for name := range next.Header {
			if !slices.Contains(harmless, name) {
				next.Header.Del(name)
			}
		}
		next.Host = ""
		return nil
	}}
}

var (
	errRedirect = errors.New("redirect refused")
	harmless    = []string{"Accept", "Accept-Language", "Content-Type", "User-Agent"}
)
