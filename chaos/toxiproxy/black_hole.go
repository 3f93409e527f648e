package toxiproxy

import "github.com/runbook-engine/runbook/chaos"

type blackHoleParams struct {
	Proxy    string  `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
	Toxicity float64 `json:"toxicity" default:"1" min:"0.01" max:"1" doc:"Part of the connections that it meets."`
}

func blackHole(i injector) chaos.Fault {
	return define(i, "black_hole",
		"Connections through the proxy are accepted and carry nothing, so that readers hang. Healing closes them.",
		"{proxy: orders-db-proxy}",
		func(p blackHoleParams) string { return p.Proxy },
		func(p blackHoleParams) disturbance {
			return one("timeout", bothWays, p.Toxicity, map[string]int64{"timeout": 0})
		})
}
