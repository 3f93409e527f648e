package cnpg

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type promoteParams struct {
	Connection     string         `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace      string         `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the PostgreSQL cluster." example:"shop"`
	Cluster        string         `json:"cluster" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Name of the PostgreSQL cluster, an object of the kind Cluster of postgresql.cnpg.io." example:"orders"`
	Instance       string         `json:"instance" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Instance that becomes the primary." example:"orders-2"`
	AllowUnhealthy bool           `json:"allow_unhealthy" default:"false" doc:"Also when the operator does not call the cluster healthy. What another instance has received and this one has not is lost then."`
	Wait           model.Duration `json:"wait" default:"2m" min:"1s" max:"1h" doc:"How long it may take until the instance is the primary."`
	AllowSystem    bool           `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *promoteParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields promoteParams
	problems := document.Decode(n, (*fields)(p))
	return append(problems, cluster.GuardNamespace(n, p.Namespace, p.AllowSystem)...)
}

type promoteResult struct {
	Primary string `json:"primary" doc:"Name of the instance that is the primary now."`
}

func (s system) promoteAction() actions.Action {
	return actions.Define(actions.Def[promoteParams, promoteResult]{
		Name: "kubernetes.cnpg_promote",
		Doc: "Let CloudNativePG make an instance the primary, as kubectl cnpg promote does, and wait until it is. " +
			"The operator also fails over by itself; this is for a planned change, and for when it does not. " +
			"Refuses an instance that is fenced or not healthy, and while the operator changes the primary already.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, cluster: orders, instance: orders-2}",
		Target:  func(p promoteParams) string { return "instance/" + p.Namespace + "/" + p.Cluster + "/" + p.Instance },
		Limit:   func(p promoteParams) time.Duration { return time.Duration(p.Wait) + time.Minute },
		Accepts: func(ctx context.Context, _ actions.Target, p promoteParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			return s.ask(ctx, c.Rehearsing(), p)
		},
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p promoteParams) (promoteResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return promoteResult{}, err
			}
			if err := s.ask(ctx, c, p); err != nil {
				return promoteResult{}, err
			}
			return promoteResult{p.Instance}, await(ctx, c, p)
		},
	})
}

// ask is what kubectl cnpg promote does, unless it was done before.
func (s system) ask(ctx context.Context, c cluster.Client, p promoteParams) error {
	return c.ChangeStatus(ctx, object(p.Namespace, p.Cluster), func(o *unstructured.Unstructured) error {
		if err := p.edit(o, s.Now()); err != nil {
			return c.Errorf("promote %s of the cluster %s/%s: %w", p.Instance, p.Namespace, p.Cluster, err)
		}
		return nil
	})
}

func (p promoteParams) edit(o *unstructured.Unstructured, now time.Time) error {
	s, err := statusOf(o)
	if err != nil {
		return actions.Permanent(err)
	}
	if s.TargetPrimary == p.Instance {
		return nil
	}
	fenced, err := fencedIn(o)
	if err != nil {
		return actions.Permanent(err)
	}
	if err := s.promotable(p, fenced); err != nil {
		return err
	}
	return s.target(o, p.Instance, now)
}

func await(ctx context.Context, c cluster.Client, p promoteParams) error {
	var now status
	done, err := cluster.Await(ctx, time.Duration(p.Wait), func() (bool, error) {
		o, err := c.Get(ctx, object(p.Namespace, p.Cluster))
		if err != nil {
			return false, err
		}
		if now, err = statusOf(o); err != nil {
			return false, err
		}
		if now.TargetPrimary != p.Instance {
			return false, actions.Permanent(c.Errorf("promote %s of the cluster %s/%s: the operator chose %s instead; its log says why", p.Instance, p.Namespace, p.Cluster, now.TargetPrimary))
		}
		return now.CurrentPrimary == p.Instance, nil
	})
	if err != nil || done {
		return err
	}
	return c.Errorf("promote %s of the cluster %s/%s: %s is still the primary after %s, and the operator says: %s: %s", p.Instance, p.Namespace, p.Cluster, now.CurrentPrimary, p.Wait, now.Phase, now.PhaseReason)
}
