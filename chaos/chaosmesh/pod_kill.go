package chaosmesh

import (
	"time"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type podKillParams struct {
	Cluster string         `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods    Pods           `json:"pods" doc:"The pods to kill."`
	Grace   model.Duration `json:"grace" default:"0s" min:"0s" max:"10m" doc:"How long a pod may take to end in order."`
}

func podKill(i *injector) chaos.Fault {
	return defineOneShot(i, "pod_kill",
		"Delete pods once. Their owners make new ones.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}}",
		func(p podKillParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, object: func(a aim) runtime.Object {
				return &cm.PodChaos{Spec: cm.PodChaosSpec{
					ContainerSelector: a.containers(nil), Action: cm.PodKillAction, GracePeriod: int64(time.Duration(p.Grace).Seconds()),
				}}
			}}
		})
}
