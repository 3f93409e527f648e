package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type timeSkewParams struct {
	Cluster    string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods     `json:"pods" doc:"The pods whose clock is meant."`
	Containers []string `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers; the first one of each pod without it."`
	Offset     string   `json:"offset" pattern:"^-?([1-9][0-9]{0,5}(ms|s|m|h))+$" doc:"How much the clock is ahead; with - in front, behind." example:"-5m"`
}

func timeSkew(i *injector) chaos.Fault {
	return define(i, "time_skew",
		"The clock of containers is wrong.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}, offset: -5m}",
		func(p timeSkewParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.TimeChaos{Spec: cm.TimeChaosSpec{ContainerSelector: a.containers(p.Containers), Duration: a.duration, TimeOffset: p.Offset}}
			}}
		})
}
