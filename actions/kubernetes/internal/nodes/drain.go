package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/pods"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type drainParams struct {
	Connection     string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Selector       cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the nodes, as kubectl writes them. At least one of selector and names is given." example:"pool=spot"`
	Names          []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these nodes. Those that are not there are left out." example:"[node-7]"`
	Limit          int              `json:"limit" default:"1" min:"1" max:"100" doc:"At most this many nodes, the first by name."`
	Wait           model.Duration   `json:"wait" default:"5m" min:"1s" max:"1h" doc:"How long the pods get to go; disruption budgets that refuse are asked again for so long." example:"10m"`
	GracePeriod    model.Duration   `json:"grace_period,omitempty" optional:"true" min:"1s" max:"1h" doc:"How long a pod gets to end in order, in whole seconds; what the pod itself says unless set." example:"30s"`
	AllowUnmanaged bool             `json:"allow_unmanaged" default:"false" doc:"Allow pods that no controller would replace."`
	AllowLocalData bool             `json:"allow_local_data" default:"false" doc:"Allow pods with emptyDir volumes, whose data is lost with them."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *drainParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields drainParams
	return append(document.Decode(n, (*fields)(p)), guardNodes(n)...)
}

type drainResult struct {
	Evicted int `json:"evicted" doc:"Pods that this call saw go."`
}

func (s system) drainAction() actions.Action {
	return actions.Define(actions.Def[drainParams, drainResult]{
		Name: "kubernetes.drain",
		Doc: "Cordon nodes and evict their pods, as far as disruption budgets allow, like kubectl drain. " +
			"Static pods and those of DaemonSets stay. It fails, with the node cordoned, when pods are left after wait.",
		Risk:    actions.Disruptive,
		Example: "{names: [node-7], wait: 10m}",
		Limit:   func(p drainParams) time.Duration { return time.Duration(p.Wait) + time.Minute },
		Targets: func(ctx context.Context, p drainParams) (actions.Selection, error) {
			return s.selectNodes(ctx, p.Connection, nodeChoice{selector: p.Selector, names: p.Names, limit: p.Limit})
		},
		Accepts: s.acceptsDrain,
		Run:     s.drain,
	})
}

func (s system) drain(ctx context.Context, key actions.Key, target actions.Target, p drainParams) (result drainResult, err error) {
	c, node, err := s.node(ctx, p.Connection, target)
	if err != nil {
		return result, err
	}
	// What must not go is found before anything is changed.
	if _, err := leaving(ctx, c, node.Name, p); err != nil {
		return result, err
	}
	if _, _, err := c.Make(ctx, key, cordon(node, true)); err != nil {
		return result, err
	}
	seen := map[string]bool{}
	var left []*corev1.Pod
	var refused error
	empty, err := cluster.Await(ctx, time.Duration(p.Wait), func() (bool, error) {
		if left, err = leaving(ctx, c, node.Name, p); err != nil {
			return false, err
		}
		refused, err = evictAll(ctx, c, left, time.Duration(p.GracePeriod), seen)
		return len(left) == 0, err
	})
	result.Evicted = len(seen) - len(left)
	if err == nil && !empty {
		err = actions.Permanent(c.Errorf("drain node %s: after %s %s", node.Name, p.Wait, stillThere(left, refused)))
	}
	return result, err
}

func (s system) acceptsDrain(ctx context.Context, target actions.Target, p drainParams) error {
	c, node, err := s.node(ctx, p.Connection, target)
	if err != nil {
		return err
	}
	left, err := leaving(ctx, c, node.Name, p)
	if err != nil {
		return err
	}
	if _, _, err := c.Rehearsing().Make(ctx, cluster.Asking, cordon(node, true)); err != nil {
		return err
	}
	refused, err := evictAll(ctx, c.Rehearsing(), left, time.Duration(p.GracePeriod), map[string]bool{})
	if err == nil && refused != nil {
		err = fmt.Errorf("%w%s", refused, cluster.Causes(refused))
	}
	return err
}

// leaving are the pods of a node that a drain moves away.
func leaving(ctx context.Context, c cluster.Client, node string, p drainParams) ([]*corev1.Pod, error) {
	all, err := c.ListPods(ctx, "", metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
	if err != nil {
		return nil, err
	}
	leave := slices.DeleteFunc(all, stays)
	if err := pods.GuardUnmanaged(leave, p.AllowUnmanaged); err != nil {
		return nil, actions.Permanent(c.Errorf("drain node %s: %w", node, err))
	}
	for _, pod := range leave {
		if !p.AllowLocalData && hasLocalData(pod) {
			return nil, actions.Permanent(c.Errorf("drain node %s: pod %s/%s has an emptyDir volume; set allow_local_data: true if its data may be lost", node, pod.Namespace, pod.Name))
		}
	}
	return leave, nil
}

// stays: a static pod would come back at once, and so would one of a DaemonSet;
// one that has ended does nothing.
func stays(pod *corev1.Pod) bool {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	owner := metav1.GetControllerOf(pod)
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return mirror || ended || owner != nil && owner.Kind == "DaemonSet"
}

func hasLocalData(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.EmptyDir != nil })
}

// evictAll asks each pod to go, and gives the last refusal of a disruption
// budget apart from other errors.
func evictAll(ctx context.Context, c cluster.Client, all []*corev1.Pod, grace time.Duration, seen map[string]bool) (refused, err error) {
	for _, pod := range all {
		seen[string(pod.UID)] = true
		if pod.DeletionTimestamp != nil {
			continue
		}
		err := c.Remove(ctx, cluster.IDOf(pod), cluster.Removal{Evict: true, Grace: grace})
		switch {
		case apierrors.IsTooManyRequests(err):
			refused = err
		case err != nil:
			return refused, err
		}
	}
	return refused, nil
}

func stillThere(left []*corev1.Pod, refused error) error {
	var names []string
	for _, pod := range left {
		name := pod.Namespace + "/" + pod.Name
		if pod.DeletionTimestamp != nil {
			name += " (it was asked to go, and its node has not ended it)"
		}
		names = append(names, name)
	}
	text := strings.Join(names[:min(len(names), 5)], ", ")
	if refused != nil {
		return fmt.Errorf("%d pods are left: %s; the last refusal: %w%s", len(names), text, refused, cluster.Causes(refused))
	}
	return fmt.Errorf("%d pods are left: %s", len(names), text)
}
