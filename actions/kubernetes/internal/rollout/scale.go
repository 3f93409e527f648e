package rollout

import (
	"context"
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type scaleParams struct {
	Connection  string `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the workload." example:"shop"`
	Deployment  string `json:"deployment,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Deployment that is meant. Exactly one of deployment and statefulset is given." example:"orders-api"`
	StatefulSet string `json:"statefulset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"StatefulSet that is meant, instead of a Deployment."`
	Replicas    int    `json:"replicas" min:"0" max:"1000" doc:"How many pods there shall be." example:"6"`
	AllowZero   bool   `json:"allow_zero" default:"false" doc:"Allow 0 replicas, which ends the service."`
	AllowSystem bool   `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *scaleParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields scaleParams
	problems := document.Decode(n, (*fields)(p))
	if replicas := n.Get("replicas"); replicas != nil && p.Replicas == 0 && !p.AllowZero {
		problems.Add(replicas.At, "scale-to-zero", "0 replicas end the service", "allow_zero: true, if this is meant")
	}
	return append(problems, guardOne(n, p.Namespace, p.AllowSystem, "deployment", "statefulset")...)
}

func (p scaleParams) workload() workload {
	return workloadOf(p.Namespace, p.Deployment, p.StatefulSet, "")
}

type scaleResult struct {
	From int `json:"from" doc:"How many replicas were asked for before."`
	To   int `json:"to" doc:"How many are asked for now."`
}

func (s system) scaleAction() actions.Action {
	return actions.Define(actions.Def[scaleParams, scaleResult]{
		Name: "kubernetes.scale",
		Doc: "Set the number of replicas of a workload. It does not wait for the pods; kubernetes.rollout_status does. " +
			"A workload that an autoscaler scales is refused; kubernetes.hpa_bounds moves the bounds of that. " +
			"Undo sets the former number, unless somebody has changed it since.",
		Risk:    actions.Reversible,
		Example: "{namespace: shop, deployment: orders-api, replicas: 6}",
		Target:  func(p scaleParams) string { return p.workload().id() },
		Accepts: func(ctx context.Context, _ actions.Target, p scaleParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, err = scale(ctx, c.Rehearsing(), cluster.Asking, p)
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p scaleParams) (scaleResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return scaleResult{}, err
			}
			return scale(ctx, c, key, p)
		},
		Undo: func(ctx context.Context, key actions.Key, _ actions.Target, p scaleParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			return c.Undo(ctx, key, scaling(ctx, c, p))
		},
	})
}

func scale(ctx context.Context, c cluster.Client, key actions.Key, p scaleParams) (way scaleResult, err error) {
	note, _, err := c.Make(ctx, key, scaling(ctx, c, p))
	if err != nil {
		return scaleResult{}, err
	}
	if _, err := fmt.Sscanf(note, wayForm, &way.From, &way.To); err != nil {
		return scaleResult{}, actions.Permanent(c.Errorf("scale %s: the annotation %s was changed: %w", p.workload().id(), scalesAnnotation, err))
	}
	return way, nil
}

const scalesAnnotation = "runbook-engine.io/scales"

func scaling(ctx context.Context, c cluster.Client, p scaleParams) cluster.Change {
	w := p.workload()
	return cluster.Change{
		Object: w.object(),
		Notes:  scalesAnnotation,
		Edit: func(o *unstructured.Unstructured) (string, error) {
			if err := refuseScaled(ctx, c, w); err != nil {
				return "", err
			}
			note := fmt.Sprintf(wayForm, ReplicasOf(o), p.Replicas)
			return note, unstructured.SetNestedField(o.Object, int64(p.Replicas), "spec", "replicas")
		},
		Back: func(o *unstructured.Unstructured, note string) error {
			var way scaleResult
			if _, err := fmt.Sscanf(note, wayForm, &way.From, &way.To); err != nil {
				return actions.Permanent(c.Errorf("scale %s back: the annotation %s was changed: %w", w.id(), scalesAnnotation, err))
			}
			if now := ReplicasOf(o); now != int64(way.To) {
				return actions.Permanent(c.Errorf("scale %s back to %d: somebody has set %d since this run set %d; it is left so", w.id(), way.From, now, way.To))
			}
			return unstructured.SetNestedField(o.Object, int64(way.From), "spec", "replicas")
		},
	}
}

// ReplicasOf is one unless set.
func ReplicasOf(o *unstructured.Unstructured) int64 {
	if n, found, err := unstructured.NestedInt64(o.Object, "spec", "replicas"); found && err == nil {
		return n
	}
	return 1
}

// refuseScaled: what an autoscaler owns it would set back at once.
func refuseScaled(ctx context.Context, c cluster.Client, w workload) error {
	var list *autoscalingv2.HorizontalPodAutoscalerList
	r := cluster.Request{Verb: "list", Group: autoscalingv2.GroupName, Resource: autoscalers.Resource, Namespace: w.namespace}
	err := c.Do(ctx, r, func(ctx context.Context) (err error) {
		list, err = c.Set.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return err
	}
	for _, hpa := range list.Items {
		if of := hpa.Spec.ScaleTargetRef; strings.EqualFold(of.Kind, w.kind) && of.Name == w.name {
			return actions.Permanent(c.Errorf("scale %s: the autoscaler %s scales it (up to %d); move its bounds with kubernetes.hpa_bounds", w.id(), hpa.Name, hpa.Spec.MaxReplicas))
		}
	}
	return nil
}
