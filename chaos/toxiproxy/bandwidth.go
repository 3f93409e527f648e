package toxiproxy

import "github.com/runbook-engine/runbook/chaos"

type bandwidthParams struct {
	Proxy    string  `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
	Rate     int     `json:"rate" min:"1" max:"10000000" doc:"Kilobytes per second that a connection carries." example:"64"`
	Stream   string  `json:"stream" default:"downstream" enum:"upstream|downstream|both" doc:"Data to the server (upstream), to the client (downstream), or both."`
	Toxicity float64 `json:"toxicity" default:"1" min:"0.01" max:"1" doc:"Part of the connections that it meets."`
}

func bandwidth(i injector) chaos.Fault {
	return define(i, "bandwidth",
		"Each connection through the proxy carries little data per second.",
		"{proxy: orders-db-proxy, rate: 64}",
		func(p bandwidthParams) string { return p.Proxy },
		func(p bandwidthParams) disturbance {
			return one("bandwidth", p.Stream, p.Toxicity, map[string]int64{"rate": int64(p.Rate)})
		})
}
