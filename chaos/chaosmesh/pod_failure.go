package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type podFailureParams struct {
	Cluster string `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods    Pods   `json:"pods" doc:"The pods that fail."`
}

func podFailure(i *injector) chaos.Fault {
	return define(i, "pod_failure",
		"Pods are there and do not work: their images are exchanged for one that does nothing, and back.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}}",
		func(p podFailureParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, object: func(a aim) runtime.Object {
				return &cm.PodChaos{Spec: cm.PodChaosSpec{
					ContainerSelector: a.containers(nil), Action: cm.PodFailureAction, Duration: a.duration,
				}}
			}}
		})
}
