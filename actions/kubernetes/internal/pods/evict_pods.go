package pods

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type evictPodsParams struct {
	Connection     string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace      string           `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the pods." example:"shop"`
	Selector       cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the pods, as kubectl writes them. At least one of selector and names is given." example:"app=orders-api"`
	Names          []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these pods. Those that are not there are left out."`
	OlderThan      model.Duration   `json:"older_than,omitempty" optional:"true" doc:"Only pods that were created at least this long ago." example:"10m"`
	Limit          int              `json:"limit" default:"10" min:"1" max:"100" doc:"At most this many pods, the oldest first."`
	Patience       model.Duration   `json:"patience" default:"1m" min:"0s" max:"30m" doc:"For how long to ask again when a disruption budget refuses." example:"5m"`
	GracePeriod    model.Duration   `json:"grace_period,omitempty" optional:"true" min:"1s" max:"1h" doc:"How long a pod gets to end in order, in whole seconds; what the pod itself says unless set." example:"30s"`
	AllowUnmanaged bool             `json:"allow_unmanaged" default:"false" doc:"Allow pods that no controller would replace."`
	AllowSystem    bool             `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *evictPodsParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields evictPodsParams
	return append(document.Decode(n, (*fields)(p)), Guard(n, p.Namespace, p.AllowSystem)...)
}

func (s system) evictPodsAction() actions.Action {
	return actions.Define(actions.Def[evictPodsParams, podResult]{
		Name: "kubernetes.evict_pods",
		Doc: "Evict pods, so that their controllers replace them, as far as their disruption budgets allow. " +
			"What a budget refuses is asked for again until patience ends, and then fails; static pods are left out.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, selector: app=orders-api, older_than: 10m, limit: 1, patience: 5m}",
		Limit:   func(p evictPodsParams) time.Duration { return time.Duration(p.Patience) + time.Minute },
		Targets: func(ctx context.Context, p evictPodsParams) (actions.Selection, error) {
			return Select(ctx, s.Env, p.Connection, Choice{
				Namespace: p.Namespace, Selector: p.Selector, Names: p.Names,
				OlderThan: time.Duration(p.OlderThan), Limit: p.Limit, AllowUnmanaged: p.AllowUnmanaged,
			})
		},
		Accepts: func(ctx context.Context, target actions.Target, p evictPodsParams) error {
			return s.accepts(ctx, p.Connection, p.Namespace, target, cluster.Removal{Evict: true, Grace: time.Duration(p.GracePeriod)})
		},
		Run: func(ctx context.Context, _ actions.Key, target actions.Target, p evictPodsParams) (podResult, error) {
			c, pod, err := s.pod(ctx, p.Connection, p.Namespace, target)
			if err != nil {
				return podResult{}, err
			}
			return podResult{Pod: pod.Name, UID: pod.UID}, evict(ctx, c, pod, time.Duration(p.GracePeriod), time.Duration(p.Patience))
		},
	})
}

// askAgain is how long to wait after a refusal of a disruption budget.
const askAgain = time.Second

// evict asks again while a disruption budget refuses, until patience ends.
func evict(ctx context.Context, c cluster.Client, pod cluster.PodID, grace, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		err := c.Remove(ctx, pod, cluster.Removal{Evict: true, Grace: grace})
		if !apierrors.IsTooManyRequests(err) {
			return err
		}
		if left := time.Until(deadline); left <= 0 {
			return actions.Permanent(fmt.Errorf("%w%s; refused for %s: make more pods ready, or change the budget", err, cluster.Causes(err), patience))
		} else if err := cluster.Pause(ctx, min(left, askAgain)); err != nil {
			return err
		}
	}
}
