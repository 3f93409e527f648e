package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type ioFaultParams struct {
	Cluster    string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods     `json:"pods" doc:"The pods whose files are meant."`
	Containers []string `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers; the first one of each pod without it."`
	Volume     string   `json:"volume" pattern:"^/.+" doc:"Where the volume is mounted." example:"/var/lib/data"`
	Path       string   `json:"path,omitempty" optional:"true" pattern:"^/.+" doc:"Only files that this pattern means, such as /var/lib/data/wal/*."`
	Percent    int      `json:"percent" default:"100" min:"1" max:"100" doc:"Part of the calls that it meets."`
	Errno      int      `json:"errno" default:"5" min:"1" max:"133" doc:"Error that a call gives: 5 is an error of the device, 28 a full one."`
}

func ioFault(i *injector) chaos.Fault {
	return define(i, "io_fault",
		"Reading and writing of files fails.",
		"{pods: {namespace: shop, labels: {app: orders-db}, count: 1}, volume: /var/lib/data, errno: 28}",
		func(p ioFaultParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.IOChaos{Spec: cm.IOChaosSpec{
					ContainerSelector: a.containers(p.Containers), Duration: a.duration, Action: cm.IoFaults,
					Errno: uint32(p.Errno), Path: p.Path, Percent: p.Percent, VolumePath: p.Volume,
				}}
			}}
		})
}
