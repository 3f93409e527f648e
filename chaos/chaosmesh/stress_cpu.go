package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type stressCPUParams struct {
	Cluster    string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods     `json:"pods" doc:"The pods to load."`
	Containers []string `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers; the first one of each pod without it."`
	Workers    int      `json:"workers" min:"1" max:"256" doc:"Threads that compute." example:"2"`
	Load       int      `json:"load" default:"100" min:"1" max:"100" doc:"How busy each of them is, in percent."`
}

func stressCPU(i *injector) chaos.Fault {
	return define(i, "stress_cpu",
		"Something in the containers computes for nothing.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}, workers: 2}",
		func(p stressCPUParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.StressChaos{Spec: cm.StressChaosSpec{
					ContainerSelector: a.containers(p.Containers), Duration: a.duration,
					Stressors: &cm.Stressors{CPUStressor: &cm.CPUStressor{Stressor: cm.Stressor{Workers: p.Workers}, Load: &p.Load}},
				}}
			}}
		})
}
