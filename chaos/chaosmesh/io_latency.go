package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type ioLatencyParams struct {
	Cluster    string         `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods           `json:"pods" doc:"The pods whose files are meant."`
	Containers []string       `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers; the first one of each pod without it."`
	Volume     string         `json:"volume" pattern:"^/.+" doc:"Where the volume is mounted." example:"/var/lib/data"`
	Path       string         `json:"path,omitempty" optional:"true" pattern:"^/.+" doc:"Only files that this pattern means, such as /var/lib/data/wal/*."`
	Percent    int            `json:"percent" default:"100" min:"1" max:"100" doc:"Part of the calls that it meets."`
	Delay      model.Duration `json:"delay" min:"1ms" max:"1m" doc:"How much longer a call takes." example:"100ms"`
}

func ioLatency(i *injector) chaos.Fault {
	return define(i, "io_latency",
		"Reading and writing of files takes long.",
		"{pods: {namespace: shop, labels: {app: orders-db}, count: 1}, volume: /var/lib/data, delay: 100ms}",
		func(p ioLatencyParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.IOChaos{Spec: cm.IOChaosSpec{
					ContainerSelector: a.containers(p.Containers), Duration: a.duration, Action: cm.IoLatency,
					Delay: duration(p.Delay), Path: p.Path, Percent: p.Percent, VolumePath: p.Volume,
				}}
			}}
		})
}
