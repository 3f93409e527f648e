package chaosmesh

import (
	"errors"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/runbook-engine/runbook/chaos"
)

type networkPartitionParams struct {
	Cluster  string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods     Pods     `json:"pods" doc:"The pods on one side."`
	Target   *Pods    `json:"target,omitempty" optional:"true" doc:"The pods on the other side: nothing passes in either direction."`
	External []string `json:"external,omitempty" optional:"true" min:"1" doc:"Instead of target: addresses, networks and host names outside the cluster that the pods no longer reach."`
}

// networkPartition always names both sides: without the other one, a pod would
// be cut off from its own kubelet.
func networkPartition(i *injector) chaos.Fault {
	return define(i, "network_partition",
		"Nothing passes between pods and the other side.",
		"{pods: {namespace: shop, labels: {app: orders}}, target: {namespace: shop, labels: {app: orders-db}}}",
		func(p networkPartitionParams) plan {
			n := network{p.Cluster, p.Pods, p.Target, p.External, string(cm.Both)}
			if p.Target == nil {
				n.direction = string(cm.To)
			}
			made := n.plan(cm.PartitionAction, func(*cm.NetworkChaosSpec) {})
			if p.Target == nil && len(p.External) == 0 {
				made.wrong = errors.New("a partition needs its other side: target or external")
			}
			return made
		})
}
