package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/runbook-engine/runbook/chaos"
)

type networkCorruptParams struct {
	Cluster     string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods        Pods     `json:"pods" doc:"The pods whose packets are meant."`
	Target      *Pods    `json:"target,omitempty" optional:"true" doc:"Only packets between the pods and these."`
	External    []string `json:"external,omitempty" optional:"true" min:"1" doc:"Only packets to these addresses, networks and host names outside the cluster."`
	Direction   string   `json:"direction" default:"to" enum:"to|from|both" doc:"Packets that the pods send (to), that they get from target, or both."`
	Percent     float64  `json:"percent" min:"0.1" max:"100" doc:"Part of the packets that are corrupted." example:"20"`
	Correlation float64  `json:"correlation" default:"0" min:"0" max:"100" doc:"How much a packet's fate is that of the one before it, in percent."`
}

func networkCorrupt(i *injector) chaos.Fault {
	return define(i, "network_corrupt",
		"Packets of pods arrive with a wrong bit.",
		"{pods: {namespace: shop, labels: {app: orders}}, percent: 20}",
		func(p networkCorruptParams) plan {
			return network{p.Cluster, p.Pods, p.Target, p.External, p.Direction}.plan(cm.CorruptAction, func(s *cm.NetworkChaosSpec) {
				s.Corrupt = &cm.CorruptSpec{Corrupt: percent(p.Percent), Correlation: percent(p.Correlation)}
			})
		})
}
