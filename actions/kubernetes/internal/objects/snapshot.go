package objects

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type snapshotParams struct {
	Connection  string         `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string         `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the claim." example:"shop"`
	Claim       string         `json:"claim" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"200" doc:"PersistentVolumeClaim whose volume is kept." example:"data-db-0"`
	Class       string         `json:"class,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" doc:"VolumeSnapshotClass; the default of the cluster unless set."`
	Wait        model.Duration `json:"wait" default:"5m" min:"1s" max:"12h" doc:"Wait up to this long until the snapshot can be used." example:"15m"`
	AllowSystem bool           `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *snapshotParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields snapshotParams
	problems := document.Decode(n, (*fields)(p))
	return append(problems, cluster.GuardNamespace(n, p.Namespace, p.AllowSystem)...)
}

type snapshotResult struct {
	Snapshot string `json:"snapshot" doc:"Name of the VolumeSnapshot, in the namespace of the claim."`
	Size     string `json:"size" doc:"How large a volume it restores to; empty when the driver does not say."`
}

func (s system) snapshotAction() actions.Action {
	return actions.Define(actions.Def[snapshotParams, snapshotResult]{
		Name: "kubernetes.volume_snapshot",
		Doc: "Take a snapshot of a volume, and wait until it can be used. The snapshot stays; nothing removes it. " +
			"Writes may stall while the driver takes it.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, claim: data-db-0, wait: 15m}",
		Target:  func(p snapshotParams) string { return "claim/" + p.Namespace + "/" + p.Claim },
		Limit:   func(p snapshotParams) time.Duration { return time.Duration(p.Wait) + time.Minute },
		Accepts: func(ctx context.Context, _ actions.Target, p snapshotParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, err = takeSnapshot(ctx, c.Rehearsing(), cluster.Asking, p)
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p snapshotParams) (snapshotResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return snapshotResult{}, err
			}
			snapshot, err := takeSnapshot(ctx, c, key, p)
			if err != nil {
				return snapshotResult{}, err
			}
			return awaitSnapshot(ctx, c, snapshot, time.Duration(p.Wait))
		},
	})
}

// takeSnapshot gives the snapshot the same name on each retry, so that there is
// one.
func takeSnapshot(ctx context.Context, c cluster.Client, key actions.Key, p snapshotParams) (cluster.Object, error) {
	claim := cluster.Object{GroupVersionResource: schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}, Namespace: p.Namespace, Name: p.Claim}
	o := cluster.Object{
		GroupVersionResource: schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"},
		Namespace:            p.Namespace, Name: p.Claim + "-" + cluster.MarkOf(key)[:10],
	}
	if _, err := c.Get(ctx, claim); err != nil {
		return o, err
	}
	spec := map[string]any{"source": map[string]any{"persistentVolumeClaimName": p.Claim}}
	if p.Class != "" {
		spec["volumeSnapshotClassName"] = p.Class
	}
	body := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	body.SetGroupVersionKind(o.GroupVersion().WithKind("VolumeSnapshot"))
	body.SetName(o.Name)
	_, err := c.Create(ctx, o, body)
	if apierrors.IsAlreadyExists(err) {
		return o, nil
	}
	return o, err
}

func awaitSnapshot(ctx context.Context, c cluster.Client, o cluster.Object, wait time.Duration) (result snapshotResult, err error) {
	var trouble string
	ready, err := cluster.Await(ctx, wait, func() (bool, error) {
		now, err := c.Get(ctx, o)
		if err != nil {
			return false, err
		}
		trouble, _, _ = unstructured.NestedString(now.Object, "status", "error", "message")
		size, _, _ := unstructured.NestedString(now.Object, "status", "restoreSize")
		result = snapshotResult{Snapshot: o.Name, Size: size}
		ready, _, err := unstructured.NestedBool(now.Object, "status", "readyToUse")
		return ready, err
	})
	switch {
	case err != nil || ready:
		return result, err
	case trouble == "":
		trouble = "its driver says nothing of it; is one there, and the snapshot controller?"
	}
	return result, actions.Permanent(c.Errorf("snapshot %s/%s can not be used after %s: %s", o.Namespace, o.Name, wait, trouble))
}
