package rollout

import (
	"cmp"
	"context"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type boundsParams struct {
	Connection  string `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the autoscaler." example:"shop"`
	Autoscaler  string `json:"autoscaler" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Name of the HorizontalPodAutoscaler." example:"orders-api"`
	Min         int    `json:"min,omitempty" optional:"true" min:"1" max:"1000" doc:"Fewest replicas; as it is unless set." example:"4"`
	Max         int    `json:"max,omitempty" optional:"true" min:"1" max:"1000" doc:"Most replicas; as it is unless set. At least one of min and max is given." example:"12"`
	AllowSystem bool   `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *boundsParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields boundsParams
	problems := document.Decode(n, (*fields)(p))
	switch {
	case cluster.Given(n, "min", "max") == 0:
		problems.Add(n.At, "missing-key", "min or max must be given", "min: 4")
	case p.Min > p.Max && p.Max > 0:
		problems.Add(n.Get("min").At, "empty-range", "min is more than max", "")
	}
	return append(problems, cluster.GuardNamespace(n, p.Namespace, p.AllowSystem)...)
}

func (p boundsParams) id() string { return "autoscaler/" + p.Namespace + "/" + p.Autoscaler }

type boundsResult struct {
	Before bounds `json:"before" doc:"What they were."`
	Now    bounds `json:"now" doc:"What they are."`
}

type bounds struct {
	Min int `json:"min" doc:"Fewest replicas."`
	Max int `json:"max" doc:"Most replicas."`
}

func (s system) hpaBoundsAction() actions.Action {
	return actions.Define(actions.Def[boundsParams, boundsResult]{
		Name:    "kubernetes.hpa_bounds",
		Doc:     "Move the bounds within which an autoscaler scales. Undo restores them, unless somebody has changed them since.",
		Risk:    actions.Reversible,
		Example: "{namespace: shop, autoscaler: orders-api, min: 4}",
		Target:  boundsParams.id,
		Accepts: func(ctx context.Context, _ actions.Target, p boundsParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, _, err = c.Rehearsing().Make(ctx, cluster.Asking, bounding(c, p))
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p boundsParams) (boundsResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return boundsResult{}, err
			}
			note, _, err := c.Make(ctx, key, bounding(c, p))
			if err != nil {
				return boundsResult{}, err
			}
			return parseBounds(c, p, note)
		},
		Undo: func(ctx context.Context, key actions.Key, _ actions.Target, p boundsParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			return c.Undo(ctx, key, bounding(c, p))
		},
	})
}

var autoscalers = autoscalingv2.SchemeGroupVersion.WithResource("horizontalpodautoscalers")

const boundsAnnotation = "runbook-engine.io/bounds"

func bounding(c cluster.Client, p boundsParams) cluster.Change {
	return cluster.Change{
		Object: cluster.Object{GroupVersionResource: autoscalers, Namespace: p.Namespace, Name: p.Autoscaler},
		Notes:  boundsAnnotation,
		Edit: func(o *unstructured.Unstructured) (string, error) {
			r := boundsResult{Before: boundsOf(o)}
			r.Now = bounds{Min: cmp.Or(p.Min, r.Before.Min), Max: cmp.Or(p.Max, r.Before.Max)}
			if r.Now.Min > r.Now.Max {
				return "", actions.Permanent(c.Errorf("move the bounds of %s: at least %d is more than at most %d; set both", p.id(), r.Now.Min, r.Now.Max))
			}
			return r.String(), r.Now.set(o)
		},
		Back: func(o *unstructured.Unstructured, note string) error {
			r, err := parseBounds(c, p, note)
			if err != nil {
				return err
			}
			if now := boundsOf(o); now != r.Now {
				return actions.Permanent(c.Errorf("move the bounds of %s back: somebody has set %d to %d since this run set %d to %d; they are left so",
					p.id(), now.Min, now.Max, r.Now.Min, r.Now.Max))
			}
			return r.Before.set(o)
		},
	}
}

const boundsForm = "%d-%d>%d-%d"

func (r boundsResult) String() string {
	return fmt.Sprintf(boundsForm, r.Before.Min, r.Before.Max, r.Now.Min, r.Now.Max)
}

func parseBounds(c cluster.Client, p boundsParams, note string) (r boundsResult, err error) {
	if _, err := fmt.Sscanf(note, boundsForm, &r.Before.Min, &r.Before.Max, &r.Now.Min, &r.Now.Max); err != nil {
		return boundsResult{}, actions.Permanent(c.Errorf("move the bounds of %s: the annotation %s was changed: %w", p.id(), boundsAnnotation, err))
	}
	return r, nil
}

func boundsOf(o *unstructured.Unstructured) bounds {
	least, found, _ := unstructured.NestedInt64(o.Object, "spec", "minReplicas")
	if !found {
		least = 1
	}
	most, _, _ := unstructured.NestedInt64(o.Object, "spec", "maxReplicas")
	return bounds{int(least), int(most)}
}

func (b bounds) set(o *unstructured.Unstructured) error {
	if err := unstructured.SetNestedField(o.Object, int64(b.Min), "spec", "minReplicas"); err != nil {
		return err
	}
	return unstructured.SetNestedField(o.Object, int64(b.Max), "spec", "maxReplicas")
}
