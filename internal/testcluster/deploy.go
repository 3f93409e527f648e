package testcluster

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Image is one whose pods are well at once; kube/pods.yaml has others.
const Image = "well.test/app:1"

// Template is that of pods with the label app=NAME and one container, "app".
func Template(name, image string) corev1.PodTemplateSpec {
	grace := int64(1)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers:                    []corev1.Container{{Name: "app", Image: image}},
		},
	}
}

// Deploy makes a Deployment of pods with the label app=NAME, and waits until all
// of them are available.
func (c *Cluster) Deploy(t testing.TB, namespace, name string, replicas int32, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	t.Helper()
	c.Create(t, namespace, name, replicas, change...)
	return c.AwaitAvailable(t, namespace, name)
}

// Create is Deploy without the wait.
func (c *Cluster) Create(t testing.TB, namespace, name string, replicas int32, change ...func(*appsv1.Deployment)) {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: Template(name, Image),
		},
	}
	for _, change := range change {
		change(d)
	}
	if _, err := c.Set.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Of runs another image.
func Of(image string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = image }
}

// Abandoned is the annotation of a pod whose kubelet does nothing more.
const Abandoned = "testcluster/node-gone"

// AwaitAvailable waits until the rollout of a Deployment is over.
func (c *Cluster) AwaitAvailable(t testing.TB, namespace, name string) (d *appsv1.Deployment) {
	t.Helper()
	Eventually(t, "rollout of "+name, func() (err error) {
		if d, err = c.Set.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			return err
		}
		if s := d.Status; s.ObservedGeneration < d.Generation || s.UpdatedReplicas < *d.Spec.Replicas || s.AvailableReplicas != *d.Spec.Replicas || s.Replicas != *d.Spec.Replicas {
			return fmt.Errorf("%d updated, %d available of %d", s.UpdatedReplicas, s.AvailableReplicas, s.Replicas)
		}
		return nil
	})
	return d
}

// Pods are those of a namespace that a selector means.
func (c *Cluster) Pods(t testing.TB, namespace, selector string) []corev1.Pod {
	t.Helper()
	list, err := c.Set.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// LoseNode makes a node NotReady, and the kubelets of its pods do nothing more,
// until the test ends.
func (c *Cluster) LoseNode(t testing.TB, name string) {
	t.Helper()
	pods, err := c.Set.CoreV1().Pods("").List(t.Context(), metav1.ListOptions{FieldSelector: "spec.nodeName=" + name})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods.Items {
		c.abandon(t, pod)
	}
	c.setNode(t, t.Context(), name, "gone", corev1.ConditionUnknown)
	t.Cleanup(func() { c.setNode(t, context.Background(), name, "fake", corev1.ConditionTrue) })
}

// abandon also tells what the node controller would, once the lease of the node
// had run out.
func (c *Cluster) abandon(t testing.TB, pod corev1.Pod) {
	t.Helper()
	pods := c.Set.CoreV1().Pods(pod.Namespace)
	if _, err := pods.Patch(t.Context(), pod.Name, types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+Abandoned+`":""}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	status := []byte(`{"status":{"conditions":[{"type":"Ready","status":"False","reason":"NodeNotReady"}]}}`)
	if _, err := pods.Patch(t.Context(), pod.Name, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
}

// setNode also waits until the cluster has drawn its conclusions.
func (c *Cluster) setNode(t testing.TB, ctx context.Context, name, kubelet string, ready corev1.ConditionStatus) {
	t.Helper()
	nodes := c.Set.CoreV1().Nodes()
	if _, err := nodes.Patch(ctx, name, types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"kwok.x-k8s.io/node":%q}}}`, kubelet), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	status := fmt.Appendf(nil, `{"status":{"conditions":[{"type":"Ready","status":%q,"reason":"Test"}]}}`, ready)
	if _, err := nodes.Patch(ctx, name, types.StrategicMergePatchType, status, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	tainted := ready != corev1.ConditionTrue
	eventually(ctx, t, "taints of "+name, func() error {
		node, err := nodes.Get(ctx, name, metav1.GetOptions{})
		if err == nil && (len(node.Spec.Taints) > 0) != tainted {
			err = fmt.Errorf("taints are %v", node.Spec.Taints)
		}
		return err
	})
}

// Budget lets the pods of an app be evicted while so many of them remain.
func (c *Cluster) Budget(t testing.TB, namespace, app string, remain intstr.IntOrString) {
	t.Helper()
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: app},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &remain, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}
	if _, err := c.Set.PolicyV1().PodDisruptionBudgets(namespace).Create(t.Context(), budget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "status of the budget", func() error {
		now, err := c.Set.PolicyV1().PodDisruptionBudgets(namespace).Get(t.Context(), app, metav1.GetOptions{})
		if err == nil && (now.Status.ObservedGeneration == 0 || now.Status.ExpectedPods == 0) {
			err = fmt.Errorf("status is %+v", now.Status)
		}
		return err
	})
}
