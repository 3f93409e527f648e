package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/pager"

	"github.com/runbook-engine/runbook/actions"
)

// selector is a label selector that is not empty: an empty one means all.
type selector string

// UnmarshalText takes the text if Kubernetes' parser does.
func (s *selector) UnmarshalText(text []byte) error {
	parsed, err := labels.Parse(string(text))
	if err != nil {
		return err
	}
	if parsed.Empty() {
		return errors.New("a selector that selects something; an empty one would mean all pods")
	}
	*s = selector(text)
	return nil
}

// listPods reads in pages, so that a large namespace does not hurt the API
// server.
func (c client) listPods(ctx context.Context, namespace, selector string) (all []*corev1.Pod, err error) {
	r := request{verb: "list", resource: "pods", namespace: namespace}
	page := func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		return c.set.CoreV1().Pods(namespace).List(ctx, options)
	}
	err = c.do(ctx, r, func(ctx context.Context) error {
		return pager.New(page).EachListItem(ctx, metav1.ListOptions{LabelSelector: selector}, func(o runtime.Object) error {
			all = append(all, o.(*corev1.Pod))
			return nil
		})
	})
	return all, err
}

// choose picks the pods to delete, the oldest first.
func (p deletePodsParams) choose(all []*corev1.Pod, now time.Time) []*corev1.Pod {
	chosen := slices.DeleteFunc(slices.Clone(all), func(pod *corev1.Pod) bool { return !p.wants(pod, now) })
	slices.SortFunc(chosen, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return chosen[:min(len(chosen), p.Limit)]
}

// wants leaves out pods that are being deleted already, and static pods, which
// live in a file on their node: the API only mirrors them.
func (p deletePodsParams) wants(pod *corev1.Pod, now time.Time) bool {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return !mirror && pod.DeletionTimestamp == nil &&
		(len(p.Names) == 0 || slices.Contains(p.Names, pod.Name)) &&
		(p.Phase == "" || string(pod.Status.Phase) == p.Phase) &&
		now.Sub(pod.CreationTimestamp.Time) >= time.Duration(p.OlderThan)
}

func (p deletePodsParams) guardUnmanaged(chosen []*corev1.Pod) error {
	var lost []string
	for _, pod := range chosen {
		if metav1.GetControllerOf(pod) == nil {
			lost = append(lost, pod.Name)
		}
	}
	if p.AllowUnmanaged || len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("no controller would replace %s in namespace %s; set allow_unmanaged: true if they may be lost",
		strings.Join(lost[:min(len(lost), 5)], ", "), p.Namespace)
}

// podTarget tells a person what they are about to lose.
func podTarget(pod *corev1.Pod, now time.Time) actions.Target {
	restarts := int32(0)
	for _, container := range pod.Status.ContainerStatuses {
		restarts += container.RestartCount
	}
	doc := fmt.Sprintf("%s, %s old, %d restarts", pod.Status.Phase, duration.HumanDuration(now.Sub(pod.CreationTimestamp.Time)), restarts)
	if owner := metav1.GetControllerOf(pod); owner != nil {
		doc += fmt.Sprintf(", of %s %s", owner.Kind, owner.Name)
	}
	return actions.Target{ID: podID{pod.Namespace, pod.Name, string(pod.UID)}.String(), Doc: doc}
}

// podID names one pod, and none that comes after it.
type podID struct{ namespace, name, uid string }

func (p podID) String() string { return "pod/" + p.namespace + "/" + p.name + "@" + p.uid }

func (p podID) request(verb string) request {
	return request{verb: verb, resource: "pods", namespace: p.namespace, name: p.name}
}

// parsePod reads the id of a target, which must be in the namespace.
func parsePod(id, namespace string) (podID, error) {
	place, uid, _ := strings.Cut(id, "@")
	name, ours := strings.CutPrefix(place, "pod/"+namespace+"/")
	if !ours || uid == "" || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return podID{}, fmt.Errorf("target %q is no pod in namespace %s", id, namespace)
	}
	return podID{namespace, name, uid}, nil
}
