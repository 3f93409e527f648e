package pods

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/rollout"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type restartPodsParams struct {
	Connection  string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string           `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the pods." example:"shop"`
	Selector    cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the pods, as kubectl writes them. At least one of selector and names is given." example:"app=orders-api"`
	Names       []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these pods. Those that are not there are left out."`
	OlderThan   model.Duration   `json:"older_than,omitempty" optional:"true" doc:"Only pods that were created at least this long ago." example:"10m"`
	Limit       int              `json:"limit" default:"10" min:"1" max:"100" doc:"At most this many pods, the oldest first."`
	ReadyWithin model.Duration   `json:"ready_within" default:"3m" min:"1s" max:"30m" doc:"How long the controller of a pod gets until all its pods are ready again." example:"5m"`
	Patience    model.Duration   `json:"patience" default:"1m" min:"0s" max:"30m" doc:"For how long to ask again when a disruption budget refuses." example:"5m"`
	AllowSystem bool             `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *restartPodsParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields restartPodsParams
	return append(document.Decode(n, (*fields)(p)), Guard(n, p.Namespace, p.AllowSystem)...)
}

func (s system) restartPodsAction() actions.Action {
	return actions.Define(actions.Def[restartPodsParams, podResult]{
		Name: "kubernetes.restart_pods",
		Doc: "Replace pods one by one: evict one, and wait until its controller has as many ready pods as it wants, before the next. " +
			"A replacement that does not become ready fails the step, so that the pods that are left keep working.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, selector: app=orders-api, older_than: 10m, ready_within: 5m}",
		Limit: func(p restartPodsParams) time.Duration {
			return time.Duration(p.Patience) + time.Duration(p.ReadyWithin) + time.Minute
		},
		Targets: s.selectRestarts,
		Accepts: func(ctx context.Context, target actions.Target, p restartPodsParams) error {
			target.ID = target.Which()
			return s.accepts(ctx, p.Connection, p.Namespace, target, cluster.Removal{Evict: true})
		},
		Run: s.restartPod,
	})
}

// selectRestarts adds to each target who replaces it: a retry may come when the
// pod itself is gone.
func (s system) selectRestarts(ctx context.Context, p restartPodsParams) (actions.Selection, error) {
	var refused error
	owners := map[string]string{}
	selection, err := Select(ctx, s.Env, p.Connection, Choice{
		Namespace: p.Namespace, Selector: p.Selector, Names: p.Names, OlderThan: time.Duration(p.OlderThan), Limit: p.Limit,
		Skips: func(pod *corev1.Pod) bool {
			owner := metav1.GetControllerOf(pod)
			if owner == nil {
				return false
			}
			if _, known := replacers[owner.Kind]; !known {
				refused = actions.Permanent(fmt.Errorf("pod %s/%s is of a %s, and it is not known when that is healthy; use kubernetes.evict_pods", pod.Namespace, pod.Name, owner.Kind))
			}
			owners[cluster.IDOf(pod).String()] = owner.Kind + "/" + owner.Name
			return false
		},
	})
	for i := range selection.Targets {
		selection.Targets[i].ID += ";" + owners[selection.Targets[i].ID]
	}
	return selection, errors.Join(err, refused)
}

// replacers are the kinds of controllers that replace pods, as resources.
var replacers = map[string]string{"ReplicaSet": "replicasets", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}

func (s system) restartPod(ctx context.Context, _ actions.Key, target actions.Target, p restartPodsParams) (podResult, error) {
	_, owner, _ := strings.Cut(target.ID, ";")
	kind, name, _ := strings.Cut(owner, "/")
	if replacers[kind] == "" {
		return podResult{}, actions.Permanent(fmt.Errorf("target %q is no pod with a controller", target.ID))
	}
	c, id, err := s.pod(ctx, p.Connection, p.Namespace, actions.Target{ID: target.Which()})
	if err != nil {
		return podResult{}, err
	}
	if err := evict(ctx, c, id, 0, time.Duration(p.Patience)); err != nil {
		return podResult{}, err
	}
	replacer := cluster.Object{GroupVersionResource: appsv1.SchemeGroupVersion.WithResource(replacers[kind]), Namespace: id.Namespace, Name: name}
	var lack string
	healthy, err := cluster.Await(ctx, time.Duration(p.ReadyWithin), func() (done bool, err error) {
		lack, err = lacking(ctx, c, replacer, id)
		return lack == "", err
	})
	if err == nil && !healthy {
		err = actions.Permanent(c.Errorf("pod %s/%s was evicted, and after %s %s %s is not healthy: %s", id.Namespace, id.Name, p.ReadyWithin, kind, name, lack))
	}
	return podResult{Pod: id.Name, UID: id.UID}, err
}

// lacking says what the controller of a pod that goes lacks; nothing when it has
// as many ready pods as it wants without that one, or is gone itself.
func lacking(ctx context.Context, c cluster.Client, replacer cluster.Object, gone cluster.PodID) (string, error) {
	now, err := c.Get(ctx, replacer)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	wanted := rollout.ReplicasOf(now)
	if n, daemons, _ := unstructured.NestedInt64(now.Object, "status", "desiredNumberScheduled"); daemons {
		wanted = n
	}
	all, err := rollout.PodsOf(ctx, c, now)
	if err != nil {
		return "", err
	}
	own := slices.DeleteFunc(all, func(pod *corev1.Pod) bool { return !metav1.IsControlledBy(pod, now) || string(pod.UID) == gone.UID })
	if ready := int64(cluster.CountReady(own)); ready < wanted {
		return strings.TrimSuffix(fmt.Sprintf("%d of %d pods are ready; %s", ready, wanted, rollout.Broken(own)), "; "), nil
	}
	return "", nil
}
