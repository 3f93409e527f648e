package chaosmesh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type applyParams struct {
	Cluster    string         `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Kind       string         `json:"kind" enum:"BlockChaos|DNSChaos|HTTPChaos|IOChaos|JVMChaos|KernelChaos|NetworkChaos|PodChaos|StressChaos|TimeChaos" doc:"Kind of the experiment. Kinds that touch something else than pods can not be held against the limits of a game day, and are left out."`
	Pods       Pods           `json:"pods" doc:"The pods that are meant."`
	Containers []string       `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers, for kinds that are about containers; the first one of each pod without it."`
	Spec       map[string]any `json:"spec" doc:"The rest of the experiment's spec, as Chaos Mesh documents it: all but what it is pointed at, and for how long."`
}

// ours are the keys of a spec that only the engine writes, in any case: the decoder
// takes Target for target.
var ours = []string{"selector", "mode", "value", "duration", "containerNames", "target", "externalTargets", "remoteCluster", "schedule"}

func apply(i *injector) chaos.Fault {
	return define(i, "apply",
		"Any experiment of Chaos Mesh that is about pods. Where there is a fault of its own for it, use that: it checks more.",
		"{kind: JVMChaos, pods: {namespace: shop, labels: {app: orders}, count: 1}, spec: {action: gc, port: 9277}}",
		func(p applyParams) plan {
			_, err := p.build(aim{})
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, wrong: err, object: func(a aim) runtime.Object {
				o, err := p.build(a)
				if err != nil {
					return cm.AllKinds()[p.Kind].SpawnObject() // what is wrong was said already
				}
				return o
			}}
		})
}

// build decodes the spec strictly: what Chaos Mesh does not know, it would
// ignore.
func (p applyParams) build(a aim) (runtime.Object, error) {
	spec := map[string]any{"selector": a.pods.Selector, "mode": a.pods.Mode, "duration": a.duration}
	if len(p.Containers) > 0 {
		spec["containerNames"] = p.Containers
	}
	for key, value := range p.Spec {
		// The target of HTTPChaos is no selector: it says request or response.
		taken := slices.ContainsFunc(ours, func(own string) bool { return strings.EqualFold(own, key) })
		if taken && (key != "target" || p.Kind != cm.KindHTTPChaos) {
			return nil, fmt.Errorf("spec must not have %s: the engine writes it", key)
		}
		spec[key] = value
	}
	text, err := json.Marshal(map[string]any{"spec": spec})
	if err != nil {
		return nil, err
	}
	o := cm.AllKinds()[p.Kind].SpawnObject()
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(o); err != nil {
		return nil, fmt.Errorf("spec of %s: %w", p.Kind, err)
	}
	return o, harmless(o)
}

// harmless refuses what has a fault of its own that is safer.
func harmless(o runtime.Object) error {
	if n, is := o.(*cm.NetworkChaos); is && (n.Spec.Action == cm.PartitionAction || n.Spec.Direction != "" && n.Spec.Direction != cm.To) {
		return errors.New("a network fault with another side is one of chaosmesh.network_…")
	}
	if oneShot(o) {
		return errors.New("what is over once it happened is chaosmesh.pod_kill or container_kill")
	}
	return nil
}
