package rollout

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
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
	return append(problems, guardOne(n, p.Namespace, p.AllowSystem, "deployment", "statefulset", "daemonset")...)
}

func (p restartParams) workload() workload {
	return workloadOf(p.Namespace, p.Deployment, p.StatefulSet, p.DaemonSet)
}

type restartResult struct {
	Generation  int       `json:"generation" doc:"Generation of the workload: its rollout is over when status.observedGeneration has reached it and all pods are updated."`
	RestartedAt time.Time `json:"restarted_at" doc:"When the restart was asked for."`
}

func (s system) rolloutRestartAction() actions.Action {
	return actions.Define(actions.Def[restartParams, restartResult]{
		Name: "kubernetes.rollout_restart",
		Doc: "Replace all pods of a workload, as its update strategy says, like kubectl rollout restart. " +
			"It does not wait for the rollout; kubernetes.rollout_status does.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, deployment: orders-api}",
		Target:  func(p restartParams) string { return p.workload().id() },
		Accepts: func(ctx context.Context, _ actions.Target, p restartParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, err = s.rolloutRestart(ctx, c.Rehearsing(), cluster.Asking, p.workload())
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p restartParams) (restartResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return restartResult{}, err
			}
			return s.rolloutRestart(ctx, c, key, p.workload())
		},
	})
}

// restartedAt is what kubectl sets.
const restartedAt = "kubectl.kubernetes.io/restartedAt"

const timeForm = "2006-01-02T15:04:05.000Z07:00"

// rolloutRestart notes the restart on the workload and not on its template, so
// that a roll back does not take the note away.
func (s system) rolloutRestart(ctx context.Context, c cluster.Client, key actions.Key, w workload) (restartResult, error) {
	note, now, err := c.Make(ctx, key, cluster.Change{
		Object: w.object(),
		Notes:  "runbook-engine.io/restarts",
		Edit: func(o *unstructured.Unstructured) (string, error) {
			if err := canRestart(w, o); err != nil {
				return "", actions.Permanent(c.Errorf("restart %s: %w", w.id(), err))
			}
			at := s.Now().UTC().Format(timeForm)
			return at, unstructured.SetNestedField(o.Object, at, "spec", "template", "metadata", "annotations", restartedAt)
		},
	})
	if err != nil {
		return restartResult{}, err
	}
	at, err := time.Parse(timeForm, note)
	if err != nil {
		return restartResult{}, actions.Permanent(c.Errorf("restart %s: the annotation of an earlier restart was changed: %w", w.id(), err))
	}
	return restartResult{Generation: int(now.GetGeneration()), RestartedAt: at}, nil
}

// canRestart refuses workloads that take a new template and keep their pods.
func canRestart(w workload, now *unstructured.Unstructured) error {
	paused, _, err := unstructured.NestedBool(now.Object, "spec", "paused")
	if err != nil {
		return err
	}
	strategy, _, err := unstructured.NestedString(now.Object, "spec", "updateStrategy", "type")
	switch {
	case err != nil:
		return err
	case w.kind == "deployment" && paused:
		return errors.New("its rollout is paused, so nothing would restart; resume it first (kubectl rollout resume)")
	case strategy == string(appsv1.OnDeleteStatefulSetStrategyType):
		return errors.New("its update strategy is OnDelete, so nothing would restart; use kubernetes.delete_pods")
	}
	return nil
}
