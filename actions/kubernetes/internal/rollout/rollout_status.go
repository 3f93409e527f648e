package rollout

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type statusParams struct {
	Connection  string         `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string         `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the workload." example:"shop"`
	Deployment  string         `json:"deployment,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Deployment that is meant. Exactly one of deployment, statefulset and daemonset is given." example:"orders-api"`
	StatefulSet string         `json:"statefulset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"StatefulSet that is meant, instead of a Deployment."`
	DaemonSet   string         `json:"daemonset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"DaemonSet that is meant, instead of a Deployment."`
	Wait        model.Duration `json:"wait" default:"0s" min:"0s" max:"1h" doc:"Wait up to this long until the rollout is complete, and fail when it is not, or can not become so: as a step. With 0s the state is told as it is: for verify." example:"5m"`
	AllowSystem bool           `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *statusParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields statusParams
	problems := document.Decode(n, (*fields)(p))
	return append(problems, guardOne(n, p.Namespace, p.AllowSystem, "deployment", "statefulset", "daemonset")...)
}

func (p statusParams) workload() workload {
	return workloadOf(p.Namespace, p.Deployment, p.StatefulSet, p.DaemonSet)
}

type statusResult struct {
	Complete  bool   `json:"complete" doc:"True when all pods are of the newest revision and available."`
	Stuck     string `json:"stuck" doc:"Why it will not become complete by itself: the pod, its container and the reason, or that the progress deadline is exceeded. Empty while it may."`
	Message   string `json:"message" doc:"How far it is, for people."`
	Wanted    int    `json:"wanted" doc:"Pods there should be."`
	Updated   int    `json:"updated" doc:"Pods of the newest revision."`
	Available int    `json:"available" doc:"Pods that are available, of any revision."`
}

func (s system) rolloutStatusAction() actions.Action {
	return actions.Define(actions.Def[statusParams, statusResult]{
		Name: "kubernetes.rollout_status",
		Doc: "How far the rollout of a workload is. With wait, wait until it is complete: a rollout whose progress deadline is exceeded, " +
			"or whose new pods can not start, fails at once and says which pod and why.",
		Risk:    actions.ReadOnly,
		Example: "{namespace: shop, deployment: orders-api, wait: 5m}",
		Target:  func(p statusParams) string { return p.workload().id() },
		Limit:   func(p statusParams) time.Duration { return time.Duration(p.Wait) + time.Minute },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p statusParams) (statusResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return statusResult{}, err
			}
			return awaitRollout(ctx, c, p.workload(), time.Duration(p.Wait))
		},
	})
}

func awaitRollout(ctx context.Context, c cluster.Client, w workload, wait time.Duration) (statusResult, error) {
	var state State
	_, err := cluster.Await(ctx, wait, func() (over bool, err error) {
		state, err = rolloutOf(ctx, c, w)
		return state.Complete() || state.Stuck != "", err
	})
	switch {
	case err != nil:
		return statusResult{}, err
	case wait > 0 && state.Stuck != "":
		return statusResult{}, actions.Permanent(c.Errorf("the rollout of %s is stuck: %s", w.id(), state.Stuck))
	case wait > 0 && !state.Complete():
		return statusResult{}, actions.Permanent(c.Errorf("the rollout of %s is not complete after %s: %s", w.id(), wait, state))
	}
	return statusResult{
		Complete: state.Complete(), Stuck: state.Stuck, Message: state.String(),
		Wanted: state.Wanted, Updated: state.Updated, Available: state.Available,
	}, nil
}
