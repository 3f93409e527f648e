package toxiproxy

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
)

type latencyParams struct {
	Proxy    string         `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
	Latency  model.Duration `json:"latency" min:"1ms" max:"1m" doc:"How late data arrives." example:"200ms"`
	Jitter   model.Duration `json:"jitter" default:"0s" min:"0s" max:"1m" doc:"How much later or earlier than that, at random; no more than latency."`
	Stream   string         `json:"stream" default:"downstream" enum:"upstream|downstream|both" doc:"Data to the server (upstream), to the client (downstream), or both."`
	Toxicity float64        `json:"toxicity" default:"1" min:"0.01" max:"1" doc:"Part of the connections that it meets."`
}

func latency(i injector) chaos.Fault {
	return define(i, "latency",
		"Data through the proxy arrives late. Connections are accepted as fast as ever.",
		"{proxy: orders-db-proxy, latency: 200ms, jitter: 50ms}",
		func(p latencyParams) string { return p.Proxy },
		func(p latencyParams) disturbance {
			d := one("latency", p.Stream, p.Toxicity, map[string]int64{"latency": millis(p.Latency), "jitter": millis(p.Jitter)})
			if p.Jitter > p.Latency {
				d.wrong = fmt.Errorf("jitter %s is more than latency %s", p.Jitter, p.Latency)
			}
			return d
		})
}

func millis(d model.Duration) int64 { return time.Duration(d).Milliseconds() }
