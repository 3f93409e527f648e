package toxiproxy

import (
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
)

type resetPeerParams struct {
	Proxy    string         `json:"proxy" connection:"toxiproxy" doc:"Connection to the proxy."`
	After    model.Duration `json:"after" default:"0s" min:"0s" max:"1m" doc:"How long after the first data of a connection."`
	Toxicity float64        `json:"toxicity" default:"1" min:"0.01" max:"1" doc:"Part of the connections that it meets."`
}

func resetPeer(i injector) chaos.Fault {
	return define(i, "reset_peer",
		"Connections through the proxy are reset once data runs over them, in either direction.",
		"{proxy: orders-db-proxy}",
		func(p resetPeerParams) string { return p.Proxy },
		func(p resetPeerParams) disturbance {
			return one("reset_peer", bothWays, p.Toxicity, map[string]int64{"timeout": millis(p.After)})
		})
}
