package chaosmesh

import (
	"fmt"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
)

type networkDelayParams struct {
	Cluster     string         `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods        Pods           `json:"pods" doc:"The pods whose packets are meant."`
	Target      *Pods          `json:"target,omitempty" optional:"true" doc:"Only packets between the pods and these."`
	External    []string       `json:"external,omitempty" optional:"true" min:"1" doc:"Only packets to these addresses, networks and host names outside the cluster."`
	Direction   string         `json:"direction" default:"to" enum:"to|from|both" doc:"Packets that the pods send (to), that they get from target, or both."`
	Latency     model.Duration `json:"latency" min:"1ms" max:"1m" doc:"How late a packet is." example:"200ms"`
	Jitter      model.Duration `json:"jitter" default:"0s" min:"0s" max:"1m" doc:"How much later or earlier than that, at random; no more than latency."`
	Correlation float64        `json:"correlation" default:"0" min:"0" max:"100" doc:"How much a packet's fate is that of the one before it, in percent."`
}

func networkDelay(i *injector) chaos.Fault {
	return define(i, "network_delay",
		"Packets of pods arrive late.",
		"{pods: {namespace: shop, labels: {app: orders}}, target: {namespace: shop, labels: {app: orders-db}}, latency: 200ms}",
		func(p networkDelayParams) plan {
			made := network{p.Cluster, p.Pods, p.Target, p.External, p.Direction}.plan(cm.DelayAction, func(s *cm.NetworkChaosSpec) {
				s.Delay = &cm.DelaySpec{Latency: duration(p.Latency), Jitter: duration(p.Jitter), Correlation: percent(p.Correlation)}
			})
			if p.Jitter > p.Latency {
				made.wrong = fmt.Errorf("jitter %s is more than latency %s", p.Jitter, p.Latency)
			}
			return made
		})
}
