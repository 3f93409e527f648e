package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/pager"

	"github.com/runbook-engine/runbook/actions"
)

// Selector is a label selector that is not empty: an empty one means all.
type Selector string

// UnmarshalText takes the text if Kubernetes' parser does.
func (s *Selector) UnmarshalText(text []byte) error {
	parsed, err := labels.Parse(string(text))
	if err != nil {
		return err
	}
	if parsed.Empty() {
		return errors.New("a selector that selects something; an empty one would mean all")
	}
	*s = Selector(text)
	return nil
}

// ListPods reads in pages, so that a large namespace does not hurt the API
// server.
func (c Client) ListPods(ctx context.Context, namespace string, by metav1.ListOptions) (all []*corev1.Pod, err error) {
	r := Request{Verb: "list", Resource: "pods", Namespace: namespace}
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.Set.CoreV1().Pods(namespace).List(ctx, options)
	}
	err = c.Do(ctx, r, func(ctx context.Context) error {
		all = nil
		return pager.New(page).EachListItem(ctx, by, func(o runtime.Object) error {
			all = append(all, o.(*corev1.Pod))
			return nil
		})
	})
	return all, err
}

// Ready reports whether a pod can do its work, and will for now.
func Ready(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodRunning && conditionTrue(pod, corev1.PodReady)
}

func conditionTrue(pod *corev1.Pod, kind corev1.PodConditionType) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == kind {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

// CountReady counts the pods that are.
func CountReady(pods []*corev1.Pod) (n int) {
	for _, pod := range pods {
		if Ready(pod) {
			n++
		}
	}
	return n
}

// PodTarget tells a person what they are about to lose.
func PodTarget(pod *corev1.Pod, now time.Time) actions.Target {
	restarts := int32(0)
	for _, container := range pod.Status.ContainerStatuses {
		restarts += container.RestartCount
	}
	doc := fmt.Sprintf("%s, %s old, %d restarts", pod.Status.Phase, duration.HumanDuration(now.Sub(pod.CreationTimestamp.Time)), restarts)
	if owner := metav1.GetControllerOf(pod); owner != nil {
		doc += fmt.Sprintf(", of %s %s", owner.Kind, owner.Name)
	}
	return actions.Target{ID: IDOf(pod).String(), Doc: doc, Unhealthy: !Ready(pod)}
}

// PodID names one pod, and none that comes after it under the same name.
type PodID struct{ Namespace, Name, UID string }

// IDOf is that of a pod.
func IDOf(pod *corev1.Pod) PodID { return PodID{pod.Namespace, pod.Name, string(pod.UID)} }

func (p PodID) String() string { return "pod/" + p.Namespace + "/" + p.Name + "@" + p.UID }

// Request is one on this pod, or on a part of it, such as pods/eviction.
func (p PodID) Request(verb, resource string) Request {
	return Request{Verb: verb, Resource: resource, Namespace: p.Namespace, Name: p.Name}
}

// ParsePod reads the id of a target, which must be in the namespace.
func ParsePod(id, namespace string) (PodID, error) {
	place, uid, _ := strings.Cut(id, "@")
	name, ours := strings.CutPrefix(place, "pod/"+namespace+"/")
	if !ours || uid == "" || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return PodID{}, actions.Permanent(fmt.Errorf("target %q is no pod in namespace %s", id, namespace))
	}
	return PodID{namespace, name, uid}, nil
}

// Pod is the pod as it now is; nil when it is gone, and another may have its
// name.
func (c Client) Pod(ctx context.Context, id PodID) (pod *corev1.Pod, err error) {
	err = c.Do(ctx, id.Request("get", "pods"), func(ctx context.Context) error {
		pod, err = c.Set.CoreV1().Pods(id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		return err
	})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err == nil && pod.UID != types.UID(id.UID):
		return nil, nil
	}
	return pod, err
}

// Removal says how a pod is asked to go.
type Removal struct {
	Grace time.Duration // how long it gets; what it says itself when 0
	Evict bool          // ask its disruption budgets
}

// Remove asks a pod to go. It names the pod by its unique id, so that neither a
// retry nor a slow plan takes the one that replaced it. That it is gone already
// is no error.
func (c Client) Remove(ctx context.Context, id PodID, how Removal) error {
	options := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(id.UID), DryRun: c.dryRun}
	if how.Grace > 0 {
		seconds := int64(how.Grace / time.Second)
		options.GracePeriodSeconds = &seconds
	}
	err := c.remove(ctx, id, how, options)
	if err == nil || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // where its namespace goes, it goes too
	}
	// A conflict may be another pod under the name, or something that passes.
	if apierrors.IsConflict(err) {
		if pod, looked := c.Pod(ctx, id); looked == nil && pod == nil {
			return nil
		}
	}
	return err
}

func (c Client) remove(ctx context.Context, id PodID, how Removal, options metav1.DeleteOptions) error {
	pods := c.Set.CoreV1().Pods(id.Namespace)
	if !how.Evict {
		return c.Do(ctx, id.Request("delete", "pods"), func(ctx context.Context) error { return pods.Delete(ctx, id.Name, options) })
	}
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: id.Name, Namespace: id.Namespace}, DeleteOptions: &options}
	return c.Do(ctx, id.Request("create", "pods/eviction"), func(ctx context.Context) error { return pods.EvictV1(ctx, eviction) })
}
