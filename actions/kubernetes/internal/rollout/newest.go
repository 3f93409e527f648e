package rollout

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

const revisionAnnotation = "deployment.kubernetes.io/revision"

// rolloutOf judges the workload, and while its rollout goes on also the pods of
// the newest revision: the older ones may be what it is to repair.
func rolloutOf(ctx context.Context, c cluster.Client, w workload) (State, error) {
	now, err := c.Get(ctx, w.object())
	if err != nil {
		return State{}, err
	}
	state, isNewest, err := judge(ctx, c, w, now)
	if err != nil || state.Complete() || !state.Current || state.Stuck != "" {
		return state, err
	}
	pods, err := PodsOf(ctx, c, now)
	if err != nil {
		return state, err
	}
	var newest []*corev1.Pod
	for _, pod := range pods {
		if isNewest(pod) {
			newest = append(newest, pod)
		}
	}
	state.Stuck = Broken(newest)
	return state, nil
}

// judge also tells how to know the pods of the newest revision.
func judge(ctx context.Context, c cluster.Client, w workload, now *unstructured.Unstructured) (State, func(*corev1.Pod) bool, error) {
	switch w.kind {
	case "statefulset":
		set, err := cluster.Typed[appsv1.StatefulSet](now)
		return judgeStatefulSet(set), labelled(appsv1.ControllerRevisionHashLabelKey, set.Status.UpdateRevision), err
	case "daemonset":
		set, err := cluster.Typed[appsv1.DaemonSet](now)
		return judgeDaemonSet(set), labelled("pod-template-generation", set.Annotations[appsv1.DeprecatedTemplateGeneration]), err
	}
	deployment, err := cluster.Typed[appsv1.Deployment](now)
	if err != nil {
		return State{}, nil, err
	}
	sets, err := replicaSetsOf(ctx, c, deployment)
	if err != nil {
		return State{}, nil, err
	}
	newest := sets[deployment.Annotations[revisionAnnotation]]
	return judgeDeployment(deployment), func(pod *corev1.Pod) bool { return newest != nil && metav1.IsControlledBy(pod, newest) }, nil
}

func labelled(key, value string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool { return value != "" && pod.Labels[key] == value }
}

// replicaSetsOf are those of a Deployment by their revision.
func replicaSetsOf(ctx context.Context, c cluster.Client, d appsv1.Deployment) (map[string]*appsv1.ReplicaSet, error) {
	var list *appsv1.ReplicaSetList
	r := cluster.Request{Verb: "list", Group: appsv1.GroupName, Resource: "replicasets", Namespace: d.Namespace}
	err := c.Do(ctx, r, func(ctx context.Context) (err error) {
		list, err = c.Set.AppsV1().ReplicaSets(d.Namespace).List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
		return err
	})
	if err != nil {
		return nil, err
	}
	byRevision := map[string]*appsv1.ReplicaSet{}
	for i := range list.Items {
		if set := &list.Items[i]; metav1.IsControlledBy(set, &d) {
			byRevision[set.Annotations[revisionAnnotation]] = set
		}
	}
	return byRevision, nil
}

// PodsOf are those that the selector of a workload means.
func PodsOf(ctx context.Context, c cluster.Client, w *unstructured.Unstructured) ([]*corev1.Pod, error) {
	d, err := cluster.Typed[appsv1.Deployment](w) // the selector is at the same place in all kinds
	if err != nil {
		return nil, err
	}
	return c.ListPods(ctx, d.Namespace, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(d.Spec.Selector)})
}
