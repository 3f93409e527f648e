package toxiproxy

import (
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
)

type slowCloseParams struct {
	Proxy    string         `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
	Delay    model.Duration `json:"delay" min:"1ms" max:"10m" doc:"How late the other side learns that a connection was closed." example:"10s"`
	Stream   string         `json:"stream" default:"downstream" enum:"upstream|downstream|both" doc:"Closed by the client (upstream), by the server (downstream), or both."`
	Toxicity float64        `json:"toxicity" default:"1" min:"0.01" max:"1" doc:"Part of the connections that it meets."`
}

func slowClose(i injector) chaos.Fault {
	return define(i, "slow_close",
		"Connections through the proxy stay open for a while after one side has closed them.",
		"{proxy: orders-db-proxy, delay: 10s}",
		func(p slowCloseParams) string { return p.Proxy },
		func(p slowCloseParams) disturbance {
			return one("slow_close", p.Stream, p.Toxicity, map[string]int64{"delay": millis(p.Delay)})
		})
}
