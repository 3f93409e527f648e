package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type containerKillParams struct {
	Cluster    string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods     `json:"pods" doc:"The pods whose containers are killed."`
	Containers []string `json:"containers" min:"1" max:"20" doc:"Names of the containers." example:"[app]"`
}

func containerKill(i *injector) chaos.Fault {
	return defineOneShot(i, "container_kill",
		"Kill containers of pods once. The kubelet starts them again.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}, containers: [app]}",
		func(p containerKillParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.PodChaos{Spec: cm.PodChaosSpec{ContainerSelector: a.containers(p.Containers), Action: cm.ContainerKillAction}}
			}}
		})
}
