package kubernetes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

func conforms(t *testing.T, c conformance.Case) {
	t.Helper()
	c.System, c.Address, c.Secrets = keeping(store(t, 1<<20)), real.Address(), []string{real.Config.BearerToken}
	c.Connections = func(address string) string {
		return fmt.Sprintf("prod: {kubernetes: {kubeconfig: '%s', patch: [{resource: configmaps, namespaces: ['test-*'], fields: [/data]}], %s}}", real.KubeconfigAt(t, address), allowsInside)
	}
	conformance.Run(t, c)
}

func TestRolloutRestartConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	conforms(t, conformance.Case{
		Action: "kubernetes.rollout_restart",
		Params: "{namespace: " + namespace + ", deployment: orders}",
		State:  func(t *testing.T) string { return specOf(t, namespace, "orders") },
	})
}

func TestRolloutUndoConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	conforms(t, conformance.Case{
		Action: "kubernetes.rollout_undo",
		Params: "{namespace: " + namespace + ", deployment: orders}",
		Arrange: func(t *testing.T) {
			renew(t, namespace, "orders")
			setImage(t, namespace, "orders", "well.test/app:2")
			real.AwaitAvailable(t, namespace, "orders")
		},
		State: func(t *testing.T) string { return specOf(t, namespace, "orders") },
	})
}

func TestRolloutStatusConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	real.Deploy(t, namespace, "slow", 1)
	setImage(t, namespace, "slow", "unready.test/app")
	conforms(t, conformance.Case{
		Action: "kubernetes.rollout_status",
		Params: "{namespace: " + namespace + ", deployment: orders, wait: 1m}",
		Slow:   "{namespace: " + namespace + ", deployment: slow, wait: 5m}",
	})
}

func TestScaleConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	conforms(t, conformance.Case{
		Action: "kubernetes.scale",
		Params: "{namespace: " + namespace + ", deployment: orders, replicas: 2}",
		Arrange: func(t *testing.T) {
			merge(t, namespace, "orders", `{"metadata":{"annotations":{"runbook-engine.io/scales":null}},"spec":{"replicas":1}}`)
		},
		State: func(t *testing.T) string { return specOf(t, namespace, "orders") },
	})
}

func TestHPABoundsConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	conforms(t, conformance.Case{
		Action:  "kubernetes.hpa_bounds",
		Params:  "{namespace: " + namespace + ", autoscaler: orders, min: 3}",
		Arrange: func(t *testing.T) { addAutoscaler(t, namespace, "orders", 2, 10) },
		State: func(t *testing.T) string {
			now, err := real.Set.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), "orders", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(asJSON(t, now.Spec), now.Annotations)
		},
	})
}

func TestDeletePodsConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	conforms(t, conformance.Case{
		Action:  "kubernetes.delete_pods",
		Params:  "{namespace: " + namespace + ", selector: app=orders, allow_unmanaged: true, limit: 2}",
		Nothing: "{namespace: " + namespace + ", selector: app=nothing}",
		Arrange: func(t *testing.T) { freshPods(t, namespace) },
		State:   func(t *testing.T) string { return podsThere(t, namespace) },
	})
}

func TestEvictPodsConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	conforms(t, conformance.Case{
		Action:  "kubernetes.evict_pods",
		Params:  "{namespace: " + namespace + ", selector: app=orders, allow_unmanaged: true, limit: 2}",
		Nothing: "{namespace: " + namespace + ", selector: app=nothing}",
		Arrange: func(t *testing.T) { freshPods(t, namespace) },
		State:   func(t *testing.T) string { return podsThere(t, namespace) },
	})
}

func TestRestartPodsConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 2)
	conforms(t, conformance.Case{
		Action:  "kubernetes.restart_pods",
		Params:  "{namespace: " + namespace + ", selector: app=orders, limit: 1}",
		Nothing: "{namespace: " + namespace + ", selector: app=nothing}",
		Arrange: func(t *testing.T) { real.AwaitAvailable(t, namespace, "orders") },
		State:   func(t *testing.T) string { return podsThere(t, namespace) },
	})
}

func TestCordonConforms(t *testing.T) {
	t.Parallel()
	cordonConforms(t, conformance.Case{Action: "kubernetes.cordon"}, false)
}

func TestUncordonConforms(t *testing.T) {
	t.Parallel()
	cordonConforms(t, conformance.Case{Action: "kubernetes.uncordon"}, true)
}

func cordonConforms(t *testing.T, c conformance.Case, closed bool) {
	name := addNode(t)
	c.Params, c.Nothing = "{names: ["+name+"]}", "{names: ["+name+"-gone]}"
	c.Arrange = func(t *testing.T) { setCordon(t, name, closed) }
	c.State = func(t *testing.T) string { return nodeState(t, name) }
	conforms(t, c)
}

func TestDrainConforms(t *testing.T) {
	t.Parallel()
	namespace, name := real.Namespace(t), addNode(t)
	conforms(t, conformance.Case{
		Action:  "kubernetes.drain",
		Params:  "{names: [" + name + "], wait: 1m, allow_unmanaged: true}",
		Nothing: "{names: [" + name + "-gone]}",
		Arrange: func(t *testing.T) {
			setCordon(t, name, false)
			freshPods(t, namespace, func(p *corev1.Pod) { p.Spec.NodeName = name })
		},
		State:    func(t *testing.T) string { return nodeState(t, name) + podsThere(t, namespace) },
		Measured: []string{"evicted"},
	})
}

// renew makes a Deployment anew, so that it has no history.
func renew(t *testing.T, namespace, name string) {
	t.Helper()
	deployments, foreground := real.Set.AppsV1().Deployments(namespace), metav1.DeletePropagationForeground
	if err := deployments.Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &foreground}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	testcluster.Eventually(t, "end of "+name, func() error {
		if _, err := deployments.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there (%w)", err)
		}
		return nil
	})
	real.Deploy(t, namespace, name, 1)
}

func merge(t *testing.T, namespace, deployment, patch string) {
	t.Helper()
	if _, err := real.Set.AppsV1().Deployments(namespace).Patch(t.Context(), deployment, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func setImage(t *testing.T, namespace, deployment, image string) {
	t.Helper()
	merge(t, namespace, deployment, fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, image))
}

// specOf is what a client asks of a Deployment; the rest is what its controller
// says.
func specOf(t *testing.T, namespace, name string) string {
	t.Helper()
	now, err := real.Set.AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	delete(now.Annotations, "deployment.kubernetes.io/revision")
	return fmt.Sprint(asJSON(t, now.Spec), now.Annotations)
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func addAutoscaler(t *testing.T, namespace, name string, least, most int32) {
	t.Helper()
	hpas := real.Set.AutoscalingV2().HorizontalPodAutoscalers(namespace)
	if err := hpas.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
		ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
		MinReplicas:    &least, MaxReplicas: most,
	}}
	if _, err := hpas.Create(t.Context(), hpa, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// freshPods makes three pods of orders and one of stock, and nothing else is there.
func freshPods(t *testing.T, namespace string, change ...func(*corev1.Pod)) {
	t.Helper()
	now := int64(0)
	if err := real.Set.CoreV1().Pods(namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitPods(t, namespace, "", "empty namespace", func(pods []corev1.Pod) error {
		if len(pods) > 0 {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	// New names, because kwok deletes by name, and may be late.
	for _, app := range []string{"orders", "orders", "orders", "stock"} {
		addPod(t, namespace, app+"-"+strings.ToLower(rand.Text()[:8]), testcluster.Image, change...)
	}
	awaitPods(t, namespace, "", "running pods", allRunning)
}

func allRunning(pods []corev1.Pod) error {
	for _, pod := range pods {
		if pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("%s is %s", pod.Name, pod.Status.Phase)
		}
	}
	return nil
}

// podsThere are those that nobody has asked to go.
func podsThere(t *testing.T, namespace string) string {
	t.Helper()
	var names []string
	for _, pod := range real.Pods(t, namespace, "") {
		if pod.DeletionTimestamp == nil {
			names = append(names, fmt.Sprint(pod.Name, pod.UID))
		}
	}
	return strings.Join(names, "\n")
}

// addNode adds one for a test, which takes only pods that tolerate it, so that
// tests do not disturb each other.
func addNode(t *testing.T) string {
	t.Helper()
	nodes := real.Set.CoreV1().Nodes()
	node, err := nodes.Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "extra-", Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "extra", Effect: corev1.TaintEffectNoSchedule}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nodes.Delete(context.Background(), node.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	testcluster.Eventually(t, "ready node", func() error {
		now, err := nodes.Get(t.Context(), node.Name, metav1.GetOptions{})
		if err == nil && (len(now.Status.Conditions) == 0 || len(now.Spec.Taints) != 1) {
			err = fmt.Errorf("taints %v", now.Spec.Taints)
		}
		return err
	})
	return node.Name
}

// tolerant pods may run on nodes that a test has added.
func tolerant(p *corev1.PodTemplateSpec) {
	p.Spec.Tolerations = []corev1.Toleration{{Key: "extra", Operator: corev1.TolerationOpExists}}
}

func setCordon(t *testing.T, name string, closed bool) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"runbook-engine.io/cordons":null}},"spec":{"unschedulable":%t}}`, closed)
	if _, err := real.Set.CoreV1().Nodes().Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func nodeState(t *testing.T, name string) string {
	t.Helper()
	node, err := real.Set.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintln(node.Spec.Unschedulable, node.Annotations["runbook-engine.io/cordons"])
}

// uncordon is for the end of a test.
func uncordon(t *testing.T, name string) {
	t.Helper()
	if _, err := real.Set.CoreV1().Nodes().Patch(context.Background(), name, types.MergePatchType, []byte(`{"spec":{"unschedulable":null}}`), metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
}
