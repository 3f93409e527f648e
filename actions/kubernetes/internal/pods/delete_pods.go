package pods

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type deletePodsParams struct {
	Connection     string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace      string           `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the pods." example:"shop"`
	Selector       cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the pods, as kubectl writes them. At least one of selector and names is given." example:"app=orders-api,tier in (web, api)"`
	Names          []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these pods. Those that are not there are left out."`
	Phase          string           `json:"phase,omitempty" optional:"true" enum:"Pending|Running|Succeeded|Failed|Unknown" doc:"Only pods in this phase."`
	OlderThan      model.Duration   `json:"older_than,omitempty" optional:"true" doc:"Only pods that were created at least this long ago." example:"10m"`
	Limit          int              `json:"limit" default:"10" min:"1" max:"100" doc:"At most this many pods, the oldest first."`
	GracePeriod    model.Duration   `json:"grace_period,omitempty" optional:"true" min:"1s" max:"1h" doc:"How long a pod gets to end in order, in whole seconds; what the pod itself says unless set." example:"30s"`
	AllowUnmanaged bool             `json:"allow_unmanaged" default:"false" doc:"Allow pods that no controller would replace."`
	AllowSystem    bool             `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *deletePodsParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields deletePodsParams
	return append(document.Decode(n, (*fields)(p)), Guard(n, p.Namespace, p.AllowSystem)...)
}

type podResult struct {
	Pod string `json:"pod" doc:"Name of the pod."`
	UID string `json:"uid" doc:"Unique id of the pod. A pod of the same name that came after it has another."`
}

func (s system) deletePodsAction() actions.Action {
	return actions.Define(actions.Def[deletePodsParams, podResult]{
		Name: "kubernetes.delete_pods",
		Doc: "Delete pods, so that their controllers replace them. Static pods are left out. " +
			"Pod disruption budgets are not asked, because a budget also holds back the eviction of pods that hang; kubernetes.evict_pods asks them.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, selector: app=orders-api, phase: Running, older_than: 10m, limit: 1}",
		Targets: func(ctx context.Context, p deletePodsParams) (actions.Selection, error) {
			return Select(ctx, s.Env, p.Connection, Choice{
				Namespace: p.Namespace, Selector: p.Selector, Names: p.Names, Phase: p.Phase,
				OlderThan: time.Duration(p.OlderThan), Limit: p.Limit, AllowUnmanaged: p.AllowUnmanaged,
			})
		},
		Accepts: func(ctx context.Context, target actions.Target, p deletePodsParams) error {
			return s.accepts(ctx, p.Connection, p.Namespace, target, cluster.Removal{Grace: time.Duration(p.GracePeriod)})
		},
		Run: func(ctx context.Context, _ actions.Key, target actions.Target, p deletePodsParams) (podResult, error) {
			c, pod, err := s.pod(ctx, p.Connection, p.Namespace, target)
			if err != nil {
				return podResult{}, err
			}
			return podResult{Pod: pod.Name, UID: pod.UID}, c.Remove(ctx, pod, cluster.Removal{Grace: time.Duration(p.GracePeriod)})
		},
	})
}

// accepts asks the API server whether it would let a pod go.
func (s system) accepts(ctx context.Context, connection, namespace string, target actions.Target, how cluster.Removal) error {
	c, pod, err := s.pod(ctx, connection, namespace, target)
	if err != nil {
		return err
	}
	err = c.Rehearsing().Remove(ctx, pod, how)
	if err != nil && cluster.Causes(err) != "" {
		return fmt.Errorf("%w%s", err, cluster.Causes(err))
	}
	return err
}

// pod is a target of the namespace, and the connection to it.
func (s system) pod(ctx context.Context, connection, namespace string, target actions.Target) (cluster.Client, cluster.PodID, error) {
	pod, err := cluster.ParsePod(target.ID, namespace)
	if err != nil {
		return cluster.Client{}, pod, err
	}
	c, err := s.Client(ctx, connection)
	return c, pod, err
}
