package toxiproxy

import "github.com/runbook-engine/runbook/chaos"

type limitDataParams struct {
	Proxy    string  `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
	Bytes    int     `json:"bytes" min:"0" max:"1000000000000" doc:"How much a connection carries before it is closed." example:"4096"`
	Stream   string  `json:"stream" default:"downstream" enum:"upstream|downstream|both" doc:"Data to the server (upstream), to the client (downstream), or both."`
	Toxicity float64 `json:"toxicity" default:"1" min:"0.01" max:"1" doc:"Part of the connections that it meets."`
}

func limitData(i injector) chaos.Fault {
	return define(i, "limit_data",
		"Connections through the proxy are closed once they have carried so many bytes.",
		"{proxy: orders-db-proxy, bytes: 4096}",
		func(p limitDataParams) string { return p.Proxy },
		func(p limitDataParams) disturbance {
			return one("limit_data", p.Stream, p.Toxicity, map[string]int64{"bytes": int64(p.Bytes)})
		})
}
