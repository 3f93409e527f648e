package rollout

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type undoParams struct {
	Connection  string `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the workload." example:"shop"`
	Deployment  string `json:"deployment,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Deployment that is meant. Exactly one of deployment, statefulset and daemonset is given." example:"orders-api"`
	StatefulSet string `json:"statefulset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"StatefulSet that is meant, instead of a Deployment."`
	DaemonSet   string `json:"daemonset,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"DaemonSet that is meant, instead of a Deployment."`
	Revision    int    `json:"revision,omitempty" optional:"true" min:"1" doc:"Revision to go back to, as kubectl rollout history shows it; unless set, the one before the current, restarts left out."`
	AllowSystem bool   `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *undoParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields undoParams
	problems := document.Decode(n, (*fields)(p))
	return append(problems, guardOne(n, p.Namespace, p.AllowSystem, "deployment", "statefulset", "daemonset")...)
}

func (p undoParams) workload() workload {
	return workloadOf(p.Namespace, p.Deployment, p.StatefulSet, p.DaemonSet)
}

type undoResult struct {
	From int `json:"from" doc:"Revision that it was."`
	To   int `json:"to" doc:"Revision that it went back to. Its template then gets a new number."`
}

func (s system) rolloutUndoAction() actions.Action {
	return actions.Define(actions.Def[undoParams, undoResult]{
		Name: "kubernetes.rollout_undo",
		Doc: "Go back to an earlier revision of a workload, like kubectl rollout undo. It fails when there is none. " +
			"It does not wait for the rollout; kubernetes.rollout_status does.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, deployment: orders-api}",
		Target:  func(p undoParams) string { return p.workload().id() },
		Accepts: func(ctx context.Context, _ actions.Target, p undoParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, err = rolloutUndo(ctx, c.Rehearsing(), cluster.Asking, p)
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p undoParams) (undoResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return undoResult{}, err
			}
			return rolloutUndo(ctx, c, key, p)
		},
	})
}

const undosAnnotation = "runbook-engine.io/undos"

func rolloutUndo(ctx context.Context, c cluster.Client, key actions.Key, p undoParams) (undoResult, error) {
	w := p.workload()
	note, _, err := c.Make(ctx, key, cluster.Change{
		Object: w.object(),
		Notes:  undosAnnotation,
		Edit: func(o *unstructured.Unstructured) (string, error) {
			past, err := historyOf(ctx, c, w, o)
			if err != nil {
				return "", err
			}
			way, err := past.back(p.Revision, o)
			if err != nil {
				return "", actions.Permanent(c.Errorf("undo %s: %w", w.id(), err))
			}
			return fmt.Sprintf(wayForm, way.From, way.To), unstructured.SetNestedMap(o.Object, past[way.To], "spec", "template")
		},
	})
	if err != nil {
		return undoResult{}, err
	}
	var way undoResult
	if _, err := fmt.Sscanf(note, wayForm, &way.From, &way.To); err != nil {
		return undoResult{}, actions.Permanent(c.Errorf("undo %s: the annotation %s was changed: %w", w.id(), undosAnnotation, err))
	}
	return way, nil
}

// wayForm is how an undo is remembered.
const wayForm = "%d>%d"
