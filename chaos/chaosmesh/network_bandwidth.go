package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/runbook-engine/runbook/chaos"
)

type networkBandwidthParams struct {
	Cluster   string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods      Pods     `json:"pods" doc:"The pods whose packets are meant."`
	Target    *Pods    `json:"target,omitempty" optional:"true" doc:"Only packets between the pods and these."`
	External  []string `json:"external,omitempty" optional:"true" min:"1" doc:"Only packets to these addresses, networks and host names outside the cluster."`
	Direction string   `json:"direction" default:"to" enum:"to|from|both" doc:"Packets that the pods send (to), that they get from target, or both."`
	Rate      string   `json:"rate" pattern:"^[1-9][0-9]{0,8}(bit|kbit|mbit|gbit|bps|kbps|mbps|gbps)$" doc:"How much the pods carry; bps is bytes per second." example:"1mbps"`
	Limit     int      `json:"limit" default:"20971520" min:"1" max:"1073741824" doc:"Bytes that may wait."`
	Buffer    int      `json:"buffer" default:"10000" min:"1" max:"1073741824" doc:"Bytes that may be sent at once."`
}

func networkBandwidth(i *injector) chaos.Fault {
	return define(i, "network_bandwidth",
		"Pods carry little data per second.",
		"{pods: {namespace: shop, labels: {app: orders}}, rate: 1mbps}",
		func(p networkBandwidthParams) plan {
			return network{p.Cluster, p.Pods, p.Target, p.External, p.Direction}.plan(cm.BandwidthAction, func(s *cm.NetworkChaosSpec) {
				s.Bandwidth = &cm.BandwidthSpec{Rate: p.Rate, Limit: uint32(p.Limit), Buffer: uint32(p.Buffer)}
			})
		})
}
