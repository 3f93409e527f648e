package http

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type getParams struct {
	URL              string            `json:"url" min:"1" doc:"Whole URL, or a path below the connection's." example:"https://shop.example/health"`
	Connection       string            `json:"connection" connection:"http" default:"" doc:"Connection that says where and as whom; for a whole URL none, for a path the only one when absent."`
	Method           string            `json:"method" default:"GET" enum:"GET|HEAD" doc:"Method."`
	Headers          map[string]string `json:"headers,omitempty" optional:"true" doc:"Headers to send."`
	ExpectStatus     []int             `json:"expect_status,omitempty" optional:"true" doc:"Status codes other than which are an error; without it every answer is a result."`
	Timeout          model.Duration    `json:"timeout" default:"10s" min:"10ms" max:"10m" doc:"How long to wait for the whole answer."`
	FollowOtherHosts bool              `json:"follow_other_hosts" default:"false" doc:"Follow redirects to another scheme, host or port, without headers and credentials; otherwise they are an error."`
}

func get(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[getParams, result]{
		Name: "http.get",
		Doc: "Look at a URL. It is a probe: what it asks for must change nothing on the server. " +
			"Each call makes a connection of its own, which is part of the duration.",
		Risk:    actions.ReadOnly,
		Example: "{url: 'https://shop.example/health', timeout: 2s}",
		Target:  func(p getParams) string { return "endpoint/" + place(p.Connection, p.URL) },
		Limit:   func(p getParams) time.Duration { return limit(p.Timeout) },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p getParams) (result, error) {
			c, err := pick(ctx, conns, p.Connection, p.URL)
			if err != nil {
				return result{}, err
			}
			return c.do(ctx, p.exchange())
		},
	})
}

func (p getParams) exchange() exchange {
	return exchange{
		method: p.Method, url: p.URL, headers: p.Headers,
		expect: expectation(p.ExpectStatus, anyStatus), wants: wanted(p.ExpectStatus),
		timeout: time.Duration(p.Timeout), otherHosts: p.FollowOtherHosts, repeatable: true,
	}
}

// limit leaves the step's own timeout the time to be the one that is reported.
func limit(timeout model.Duration) time.Duration { return time.Duration(timeout) + 5*time.Second }
