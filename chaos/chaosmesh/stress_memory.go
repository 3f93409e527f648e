package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type stressMemoryParams struct {
	Cluster    string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods     `json:"pods" doc:"The pods to load."`
	Containers []string `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers; the first one of each pod without it."`
	Workers    int      `json:"workers" default:"1" min:"1" max:"64" doc:"Processes that take memory."`
	Size       string   `json:"size" pattern:"^([1-9][0-9]{0,5}(KB|MB|GB)|[1-9][0-9]?%|100%)$" doc:"How much each of them takes: a size, or a part of what there is." example:"256MB"`
}

func stressMemory(i *injector) chaos.Fault {
	return define(i, "stress_memory",
		"Something in the containers takes memory.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}, size: 256MB}",
		func(p stressMemoryParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.StressChaos{Spec: cm.StressChaosSpec{
					ContainerSelector: a.containers(p.Containers), Duration: a.duration,
					Stressors: &cm.Stressors{MemoryStressor: &cm.MemoryStressor{Stressor: cm.Stressor{Workers: p.Workers}, Size: p.Size}},
				}}
			}}
		})
}
