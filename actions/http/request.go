package http

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type requestParams struct {
	URL              string            `json:"url" min:"1" doc:"Whole URL, or a path below the connection's." example:"https://api.shop.example/cache/flush"`
	Connection       string            `json:"connection" connection:"http" default:"" doc:"Connection that says where and as whom; for a whole URL none, for a path the only one when absent."`
	Method           string            `json:"method" default:"POST" enum:"POST|PUT|PATCH|DELETE|GET|HEAD" doc:"Method."`
	Headers          map[string]string `json:"headers,omitempty" optional:"true" doc:"Headers to send."`
	Body             string            `json:"body,omitempty" optional:"true" doc:"Body to send, as it is."`
	JSON             json.RawMessage   `json:"json,omitempty" optional:"true" doc:"Body to send as JSON, with its content type."`
	ExpectStatus     []int             `json:"expect_status,omitempty" optional:"true" doc:"Status codes other than which are an error; without it, all but 200 to 299."`
	Timeout          model.Duration    `json:"timeout" default:"10s" min:"10ms" max:"10m" doc:"How long to wait for the whole answer."`
	FollowOtherHosts bool              `json:"follow_other_hosts" default:"false" doc:"Follow redirects to another scheme, host or port, without headers and credentials; otherwise they are an error."`
}

func request(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[requestParams, result]{
		Name: "http.request",
		Doc: "Send a request that changes something. It carries an Idempotency-Key that is the same on each retry. " +
			"POST and PATCH are sent once: when their answer is lost, the outcome is unknown.",
		Risk:    actions.Disruptive,
		Example: "{url: 'https://api.shop.example/cache/flush', method: POST, json: {region: eu}, expect_status: [202]}",
		Target:  func(p requestParams) string { return "endpoint/" + place(p.Connection, p.URL) },
		Limit:   func(p requestParams) time.Duration { return limit(p.Timeout) },
		Once:    func(p requestParams) bool { return !p.repeatable() },
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p requestParams) (result, error) {
			c, err := pick(ctx, conns, p.Connection, p.URL)
			if err != nil {
				return result{}, err
			}
			e, err := p.exchange(key)
			if err != nil {
				return result{}, actions.Permanent(err)
			}
			return c.do(ctx, e)
		},
	})
}

func (p requestParams) repeatable() bool {
	return p.Method != http.MethodPost && p.Method != http.MethodPatch
}

func (p requestParams) exchange(key actions.Key) (exchange, error) {
	e := exchange{
		method: p.Method, url: p.URL, body: p.Body, headers: map[string]string{"Idempotency-Key": idempotencyKey(key)},
		expect: expectation(p.ExpectStatus, successful), wants: wanted(p.ExpectStatus),
		timeout: time.Duration(p.Timeout), otherHosts: p.FollowOtherHosts, repeatable: p.repeatable(),
	}
	if len(p.JSON) > 0 {
		if p.Body != "" {
			return e, errors.New("body and json exclude each other")
		}
		e.body = string(p.JSON)
		e.headers["Content-Type"] = "application/json"
	}
	for name, value := range p.Headers {
		e.headers[http.CanonicalHeaderKey(name)] = value
	}
	return e, nil
}

// maxKey is the longest key that the services take which know this header.
const maxKey = 255

func idempotencyKey(key actions.Key) string {
	if len(key) <= maxKey {
		return string(key)
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func anyStatus(int) bool         { return true }
func successful(status int) bool { return status >= 200 && status <= 299 }

func expectation(wanted []int, otherwise func(int) bool) func(int) bool {
	if len(wanted) == 0 {
		return otherwise
	}
	return func(status int) bool { return slices.Contains(wanted, status) }
}

func wanted(statuses []int) string {
	if len(statuses) == 0 {
		return "200 to 299"
	}
	names := make([]string, len(statuses))
	for i, status := range statuses {
		names[i] = fmt.Sprint(status)
	}
	return strings.Join(names, " or ")
}
