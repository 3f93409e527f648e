package cnpg

import (
	"context"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type clusterParams struct {
	Connection  string `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the PostgreSQL cluster." example:"shop"`
	Cluster     string `json:"cluster" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Name of the PostgreSQL cluster, an object of the kind Cluster of postgresql.cnpg.io." example:"orders"`
	AllowSystem bool   `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *clusterParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields clusterParams
	problems := document.Decode(n, (*fields)(p))
	return append(problems, cluster.GuardNamespace(n, p.Namespace, p.AllowSystem)...)
}

type clusterResult struct {
	Primary   string   `json:"primary" doc:"Name of the instance that is the primary; empty when there is none yet."`
	Target    string   `json:"target" doc:"Name of the instance that the operator wants as the primary; another than primary while it changes it."`
	Healthy   bool     `json:"healthy" doc:"Whether the operator calls the cluster healthy."`
	Phase     string   `json:"phase" doc:"What the operator says of the cluster."`
	Instances []string `json:"instances" doc:"Names of the instances."`
	Ready     []string `json:"ready" doc:"Names of the instances that the operator calls healthy."`
}

func (s system) clusterAction() actions.Action {
	return actions.Define(actions.Def[clusterParams, clusterResult]{
		Name:    "kubernetes.cnpg_cluster",
		Doc:     "Look at a PostgreSQL cluster that CloudNativePG looks after, as its operator last saw it.",
		Risk:    actions.ReadOnly,
		Example: "{namespace: shop, cluster: orders}",
		Target:  func(p clusterParams) string { return "cluster/" + p.Namespace + "/" + p.Cluster },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p clusterParams) (clusterResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return clusterResult{}, err
			}
			o, err := c.Get(ctx, object(p.Namespace, p.Cluster))
			if err != nil {
				return clusterResult{}, err
			}
			now, err := statusOf(o)
			if err != nil {
				return clusterResult{}, actions.Permanent(c.Errorf("look at the cluster %s/%s: %w", p.Namespace, p.Cluster, err))
			}
			return now.told(), nil
		},
	})
}

func (s status) told() clusterResult {
	return clusterResult{
		Primary: s.CurrentPrimary, Target: s.TargetPrimary, Healthy: s.Phase == healthy, Phase: s.Phase,
		Instances: append([]string{}, s.InstanceNames...), Ready: append([]string{}, s.InstancesStatus[ready]...),
	}
}
