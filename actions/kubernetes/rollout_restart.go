package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type restartParams struct {
	Connection  string `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the workload." example:"shop"`
	Deployment  string `json:"deployment,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Deployment to restart. Exactly one of deployment, statefulset and daemonset is given." example:"orders-api"`
	StatefulSet string `json:"statefulset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"StatefulSet to restart, instead of a Deployment."`
	DaemonSet   string `json:"daemonset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"DaemonSet to restart, instead of a Deployment."`
	AllowSystem bool   `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *restartParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields restartParams
	problems := document.Decode(n, (*fields)(p))
	if given(n, "deployment", "statefulset", "daemonset") != 1 {
		problems.Add(n.At, "exactly-one", "exactly one of deployment, statefulset and daemonset must be given", "deployment: NAME")
	}
	return append(problems, guardNamespace(n, p.Namespace, p.AllowSystem)...)
}

func (p restartParams) workload() workload {
	switch {
	case p.StatefulSet != "":
		return workload{"statefulset", p.Namespace, p.StatefulSet}
	case p.DaemonSet != "":
		return workload{"daemonset", p.Namespace, p.DaemonSet}
	default:
		return workload{"deployment", p.Namespace, p.Deployment}
	}
}

type restartResult struct {
	Generation  int       `json:"generation" doc:"Generation of the workload: its rollout is over when status.observedGeneration has reached it and all pods are updated."`
	RestartedAt time.Time `json:"restarted_at" doc:"When the restart was asked for."`
}

func (s system) rolloutRestartAction() actions.Action {
	return actions.Define(actions.Def[restartParams, restartResult]{
		Name: "kubernetes.rollout_restart",
		Doc: "Replace all pods of a workload, as its update strategy says, like kubectl rollout restart. " +
			"It does not wait for the rollout; `verify` can.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, deployment: orders-api}",
		Target:  func(p restartParams) string { return p.workload().id() },
		Run:     s.rolloutRestart,
	})
}

// conflictTries is how often the workload is read anew because somebody changed
// it between our reading and our patch.
const conflictTries = 5

// rolloutRestart does not use retry.RetryOnConflict of client-go, which reports
// success when the context ends.
func (s system) rolloutRestart(ctx context.Context, key actions.Key, _ actions.Target, p restartParams) (result restartResult, err error) {
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return restartResult{}, err
	}
	for range conflictTries {
		result, err = s.restart(ctx, c, p.workload(), key)
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return result, err
}

func (s system) restart(ctx context.Context, c client, w workload, key actions.Key) (restartResult, error) {
	object, err := c.get(ctx, w)
	if err != nil {
		return restartResult{}, err
	}
	meta := metaOf(object)
	done := parseRestarts(meta.Annotations[restartsAnnotation])
	if at, already := done.of(key); already {
		return restartResult{Generation: int(meta.Generation), RestartedAt: at}, nil
	}
	if err := canRestart(object); err != nil {
		return restartResult{}, actions.Permanent(fmt.Errorf("kubernetes %s: restart %s: %w", c.name, w.id(), err))
	}
	at := s.now().UTC().Truncate(time.Millisecond)
	merge, err := restartPatch(meta.ResourceVersion, at, done.with(key, at))
	if err != nil {
		return restartResult{}, err
	}
	if object, err = c.patch(ctx, w, merge); err != nil {
		return restartResult{}, err
	}
	return restartResult{Generation: int(metaOf(object).Generation), RestartedAt: at}, nil
}

// restartPatch notes the restart and asks for it in one change.
func restartPatch(resourceVersion string, at time.Time, done restarts) ([]byte, error) {
	type m = map[string]any
	return json.Marshal(m{
		"metadata": m{"resourceVersion": resourceVersion, "annotations": m{restartsAnnotation: done.String()}},
		"spec": m{"template": m{"metadata": m{"annotations": m{
			"kubectl.kubernetes.io/restartedAt": at.Format(timeForm), // what kubectl sets
		}}}},
	})
}
