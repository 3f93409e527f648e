package kubernetes

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type deletePodsParams struct {
	Connection     string         `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace      string         `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the pods." example:"shop"`
	Selector       selector       `json:"selector,omitempty" optional:"true" doc:"Labels of the pods, as kubectl writes them. At least one of selector and names is given." example:"app=orders-api,tier in (web, api)"`
	Names          []string       `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these pods. Those that are not there are left out."`
	Phase          string         `json:"phase,omitempty" optional:"true" enum:"Pending|Running|Succeeded|Failed|Unknown" doc:"Only pods in this phase."`
	OlderThan      model.Duration `json:"older_than,omitempty" optional:"true" doc:"Only pods that were created at least this long ago." example:"10m"`
	Limit          int            `json:"limit" default:"10" min:"1" max:"100" doc:"At most this many pods, the oldest first."`
	GracePeriod    model.Duration `json:"grace_period,omitempty" optional:"true" min:"1s" max:"1h" doc:"How long a pod gets to end in order, in whole seconds; what the pod itself says unless set." example:"30s"`
	AllowUnmanaged bool           `json:"allow_unmanaged" default:"false" doc:"Allow pods that no controller would replace."`
	AllowSystem    bool           `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *deletePodsParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields deletePodsParams
	problems := document.Decode(n, (*fields)(p))
	if given(n, "selector", "names") == 0 {
		problems.Add(n.At, "missing-key", "selector or names must be given; without both, all pods of the namespace would be meant", "selector: app=NAME")
	}
	return append(problems, guardNamespace(n, p.Namespace, p.AllowSystem)...)
}

type deletePodsResult struct {
	Pod string `json:"pod" doc:"Name of the pod."`
	UID string `json:"uid" doc:"Unique id of the pod. A pod of the same name that came after it has another."`
}

func (s system) deletePodsAction() actions.Action {
	return actions.Define(actions.Def[deletePodsParams, deletePodsResult]{
		Name: "kubernetes.delete_pods",
		Doc: "Delete pods, so that their controllers replace them. Static pods are left out. " +
			"A pod disruption budget does not hold it back, as it counts a pod that does not work as lost already; guard it with max_targets.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, selector: app=orders-api, phase: Running, older_than: 10m, limit: 1}",
		Targets: s.selectPods,
		Run:     s.deletePod,
	})
}

func (s system) selectPods(ctx context.Context, p deletePodsParams) (actions.Selection, error) {
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return actions.Selection{}, err
	}
	all, err := c.listPods(ctx, p.Namespace, string(p.Selector))
	if err != nil {
		return actions.Selection{}, err
	}
	now := s.now()
	chosen := p.choose(all, now)
	if err := p.guardUnmanaged(chosen); err != nil {
		return actions.Selection{}, actions.Permanent(err)
	}
	selection := actions.Selection{Population: len(all)}
	for _, pod := range chosen {
		selection.Targets = append(selection.Targets, podTarget(pod, now))
	}
	return selection, nil
}

// deletePod names the pod by its unique id, so that neither a retry nor a slow
// plan deletes the one that replaced it.
func (s system) deletePod(ctx context.Context, _ actions.Key, target actions.Target, p deletePodsParams) (deletePodsResult, error) {
	pod, err := parsePod(target.ID, p.Namespace)
	if err != nil {
		return deletePodsResult{}, actions.Permanent(err)
	}
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return deletePodsResult{}, err
	}
	options := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(pod.uid)}
	if p.GracePeriod > 0 {
		seconds := int64(time.Duration(p.GracePeriod) / time.Second)
		options.GracePeriodSeconds = &seconds
	}
	err = c.do(ctx, pod.request("delete"), func(ctx context.Context) error {
		return c.set.CoreV1().Pods(pod.namespace).Delete(ctx, pod.name, options)
	})
	if err != nil && !c.isGone(ctx, pod, err) {
		return deletePodsResult{}, err
	}
	return deletePodsResult{Pod: pod.name, UID: pod.uid}, nil
}

// isGone reports whether a delete failed because there was nothing to delete. A
// conflict may be another pod under the name, or something that passes.
func (c client) isGone(ctx context.Context, pod podID, err error) bool {
	if !apierrors.IsConflict(err) {
		return apierrors.IsNotFound(err)
	}
	var now *corev1.Pod
	err = c.do(ctx, pod.request("get"), func(ctx context.Context) (err error) {
		now, err = c.set.CoreV1().Pods(pod.namespace).Get(ctx, pod.name, metav1.GetOptions{})
		return err
	})
	return apierrors.IsNotFound(err) || err == nil && now.UID != types.UID(pod.uid)
}
