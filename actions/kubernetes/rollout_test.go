package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

func TestARestartReplacesAllPods(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	d := real.Deploy(t, namespace, "orders", 2, func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"team": "shop"} })
	before := podsThere(t, namespace)
	b := bind(t, action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}")
	if target := onlyTarget(t, b); target.ID != "deployment/"+namespace+"/orders" {
		t.Errorf("the target is %s", target.ID)
	}
	result := run(t, b, "run/1")
	now := real.AwaitAvailable(t, namespace, "orders")
	if now.Generation != d.Generation+1 || result["generation"] != float64(now.Generation) {
		t.Errorf("generation %d, result %v", now.Generation, result)
	}
	template := now.Spec.Template.Annotations
	if template["team"] != "shop" || template["kubectl.kubernetes.io/restartedAt"] == "" || len(template) != 2 {
		t.Errorf("the template's annotations are %v", template)
	}
	testcluster.Eventually(t, "new pods", func() error {
		for line := range strings.Lines(podsThere(t, namespace)) {
			if strings.Contains(before, strings.TrimSpace(line)) {
				return fmt.Errorf("%s was there before", line)
			}
		}
		return nil
	})
}

// The answer of run 1 was lost, others restarted too, and then run 1 is retried.
func TestALateRetryDoesNotRestartAgain(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	d := real.Deploy(t, namespace, "orders", 1)
	b := bind(t, action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}")
	const remembered = 10
	first := run(t, b, "run/1")
	for i := 2; i <= remembered; i++ {
		run(t, b, fmt.Sprint("run/", i))
	}
	again := run(t, b, "run/1")
	now, err := real.Set.AppsV1().Deployments(namespace).Get(t.Context(), "orders", metav1.GetOptions{})
	if err != nil || again["restarted_at"] != first["restarted_at"] || now.Generation != d.Generation+remembered {
		t.Errorf("first %v, again %v, generation %d after %d (%v)", first, again, now.Generation, d.Generation, err)
	}
	if run(t, b, "run/later"); len(strings.Fields(now.Annotations["runbook-engine.io/restarts"])) != remembered {
		t.Errorf("it remembers %q", now.Annotations["runbook-engine.io/restarts"])
	}
}

// set makes a StatefulSet, and a DaemonSet, and waits for nothing.
func set(t *testing.T, namespace string, strategy appsv1.StatefulSetUpdateStrategyType, change ...func(*corev1.PodTemplateSpec)) {
	t.Helper()
	one := int32(1)
	by := func(name string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
	}
	stateful := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{
		Replicas: &one, Selector: by("db"), Template: testcluster.Template("db", testcluster.Image),
		UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: strategy},
	}}
	daemon := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: appsv1.DaemonSetSpec{
		Selector: by("agent"), Template: testcluster.Template("agent", testcluster.Image),
		UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.DaemonSetUpdateStrategyType(strategy)},
	}}
	for _, change := range change {
		change(&stateful.Spec.Template)
		change(&daemon.Spec.Template)
	}
	if _, err := real.Set.AppsV1().StatefulSets(namespace).Create(t.Context(), stateful, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := real.Set.AppsV1().DaemonSets(namespace).Create(t.Context(), daemon, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// Each kind is brought up, changed, found complete and brought back.
func TestEachKindOfWorkload(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Create(t, namespace, "orders", 2)
	set(t, namespace, appsv1.RollingUpdateStatefulSetStrategyType)
	for _, what := range []string{"deployment: orders", "statefulset: db", "daemonset: agent"} {
		params := "{namespace: " + namespace + ", " + what + "}"
		wait := bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", "+what+", wait: 1m}")
		pods := "app=" + what[strings.LastIndex(what, " ")+1:]
		run(t, wait, "")
		first := real.Pods(t, namespace, pods)
		run(t, bind(t, action(t, "kubernetes.rollout_restart"), params), "run/1")
		if state := run(t, wait, ""); state["complete"] != true || state["updated"] != state["wanted"] || state["wanted"] != float64(len(first)) {
			t.Errorf("%s after the restart: %v, of %d pods", what, state, len(first))
		}
		if now := real.Pods(t, namespace, pods); len(now) > 0 && now[0].Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
			t.Errorf("%s was not restarted", what)
		}
		_, err := tryRun(t, bind(t, action(t, "kubernetes.rollout_undo"), params), "run/2")
		refused(t, err, actions.ClassPermanent, "there is no revision before 2 but for restarts")
		if way := run(t, bind(t, action(t, "kubernetes.rollout_undo"), strings.Replace(params, "}", ", revision: 1}", 1)), "run/2"); way["from"] != 2.0 || way["to"] != 1.0 {
			t.Errorf("%s was undone as %v", what, way)
		}
		run(t, wait, "")
		testcluster.Eventually(t, "pods of the first revision", func() error {
			for _, pod := range real.Pods(t, namespace, pods) {
				if pod.Annotations["kubectl.kubernetes.io/restartedAt"] != "" && pod.DeletionTimestamp == nil {
					return fmt.Errorf("%s is of the second", pod.Name)
				}
			}
			return nil
		})
	}
}

func TestAWorkloadThatWouldNotRestartIsRefused(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	merge(t, namespace, "orders", `{"spec":{"paused":true}}`)
	set(t, namespace, appsv1.OnDeleteStatefulSetStrategyType)
	for params, want := range map[string]string{"deployment: orders": "rollout is paused", "statefulset: db": "OnDelete", "daemonset: agent": "OnDelete"} {
		_, err := tryRun(t, bind(t, action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", "+params+"}"), "run/1")
		refused(t, err, actions.ClassPermanent, "kubernetes prod: restart", want)
	}
	_, err := tryRun(t, bind(t, action(t, "kubernetes.rollout_undo"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
	refused(t, err, actions.ClassPermanent, "rollout is paused")
}

// A release whose image can not be pulled: the wait fails at once and says why,
// the undo brings the old release back, and the service never stopped.
func TestARolloutThatIsStuckIsToldAndUndone(t *testing.T) {
	t.Parallel()
	for image, why := range map[string]string{
		"missing.test/app:2":  `container app: ImagePullBackOff: Back-off pulling image "missing.test/app:2"`,
		"crashing.test/app:2": "container app: CrashLoopBackOff: back-off 40s restarting failed container; it ended 4 times, last with exit code 2 (Error)",
	} {
		namespace := real.Namespace(t)
		real.Deploy(t, namespace, "orders", 3)
		setImage(t, namespace, "orders", image)
		wait := bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", deployment: orders, wait: 30m}")
		_, err := tryRun(t, wait, "")
		refused(t, err, actions.ClassPermanent, "the rollout of deployment/"+namespace+"/orders is stuck: pod orders-", why)
		state := run(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", deployment: orders}"), "")
		if state["complete"] != false || !strings.Contains(fmt.Sprint(state["stuck"]), why) || state["available"].(float64) < 2 {
			t.Errorf("the state is %v", state)
		}
		run(t, bind(t, action(t, "kubernetes.rollout_undo"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
		run(t, wait, "")
		for _, pod := range real.Pods(t, namespace, "app=orders") {
			if pod.DeletionTimestamp == nil && pod.Spec.Containers[0].Image != testcluster.Image {
				t.Errorf("%s has the image %s", pod.Name, pod.Spec.Containers[0].Image)
			}
		}
	}
}

func TestAnExceededDeadlineFailsTheWait(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Create(t, namespace, "orders", 1, testcluster.Of("unready.test/app"), func(d *appsv1.Deployment) {
		deadline := int32(1)
		d.Spec.ProgressDeadlineSeconds = &deadline
	})
	_, err := tryRun(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", deployment: orders, wait: 30m}"), "")
	refused(t, err, actions.ClassPermanent, "its progress deadline is exceeded: ReplicaSet", "has timed out progressing")
}

func TestAWaitThatEndsTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Create(t, namespace, "orders", 2, testcluster.Of("unready.test/app"))
	testcluster.Eventually(t, "updated pods", func() error {
		d, err := real.Set.AppsV1().Deployments(namespace).Get(t.Context(), "orders", metav1.GetOptions{})
		if err == nil && d.Status.UpdatedReplicas < 2 {
			err = fmt.Errorf("%d are updated", d.Status.UpdatedReplicas)
		}
		return err
	})
	_, err := tryRun(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", deployment: orders, wait: 1s}"), "")
	refused(t, err, actions.ClassPermanent, "is not complete after 1s: 2 of 2 pods updated, 0 available")
}

// The pods that a rollout replaces may be what it is to repair.
func TestOldPodsThatCrashDoNotFailARollout(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Create(t, namespace, "orders", 2, testcluster.Of("crashing.test/app"))
	awaitPods(t, namespace, "app=orders", "crashing pods", func(pods []corev1.Pod) error {
		if len(pods) < 2 || len(pods[0].Status.ContainerStatuses)+len(pods[1].Status.ContainerStatuses) < 2 {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	setImage(t, namespace, "orders", testcluster.Image)
	run(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", deployment: orders, wait: 1m}"), "")
}

func TestWhereAnUndoGoes(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	undo := func(key, more string) (output, error) {
		return tryRun(t, bind(t, action(t, "kubernetes.rollout_undo"), "{namespace: "+namespace+", deployment: orders"+more+"}"), key)
	}
	_, err := undo("run/1", "")
	refused(t, err, actions.ClassPermanent, "there is no revision before 1")
	for _, image := range []string{"well.test/app:2", "well.test/app:3"} {
		setImage(t, namespace, "orders", image)
		real.AwaitAvailable(t, namespace, "orders")
	}
	run(t, bind(t, action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
	real.AwaitAvailable(t, namespace, "orders")
	_, err = undo("run/1", ", revision: 7")
	refused(t, err, actions.ClassPermanent, "can not go back to revision 7; there are [1 2 3 4]")
	_, err = undo("run/1", ", revision: 4")
	refused(t, err, actions.ClassPermanent, "the last is the current one")
	// Revision 3 is the current one before its restart.
	if way, err := undo("run/1", ""); err != nil || way["from"] != 4.0 || way["to"] != 2.0 {
		t.Fatalf("%v (%v)", way, err)
	}
	now := real.AwaitAvailable(t, namespace, "orders")
	if image := now.Spec.Template.Spec.Containers[0].Image; image != "well.test/app:2" {
		t.Errorf("the image is %s", image)
	}
	if _, hashed := now.Spec.Template.Labels["pod-template-hash"]; hashed {
		t.Errorf("the template has the label of a ReplicaSet: %v", now.Spec.Template.Labels)
	}
	// Revision 2 is now 5, and the one before it is what the undo left behind.
	_, err = undo("run/2", "")
	refused(t, err, actions.ClassPermanent, "the revision before the current one is 4, which an earlier run left behind")
	if way, err := undo("run/2", ", revision: 1"); err != nil || way["to"] != 1.0 {
		t.Errorf("%v (%v)", way, err)
	}
}

func TestAScaledWorkloadIsScaledBackUnlessSomebodyScaledItSince(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 2)
	b := bind(t, action(t, "kubernetes.scale"), "{namespace: "+namespace+", deployment: orders, replicas: 4}")
	if way := run(t, b, "run/1"); way["from"] != 2.0 || way["to"] != 4.0 {
		t.Errorf("%v", way)
	}
	if now := real.AwaitAvailable(t, namespace, "orders"); now.Status.AvailableReplicas != 4 {
		t.Errorf("%d are available", now.Status.AvailableReplicas)
	}
	merge(t, namespace, "orders", `{"spec":{"replicas":5}}`)
	err := b.Undo(t.Context(), "run/1", onlyTarget(t, b))
	refused(t, err, actions.ClassPermanent, "somebody has set 5 since this run set 4; it is left so")
	merge(t, namespace, "orders", `{"spec":{"replicas":4}}`)
	if err := b.Undo(t.Context(), "run/1", onlyTarget(t, b)); err != nil {
		t.Fatal(err)
	}
	if now := real.AwaitAvailable(t, namespace, "orders"); *now.Spec.Replicas != 2 {
		t.Errorf("there are %d replicas", *now.Spec.Replicas)
	}
}

func TestWhatAnAutoscalerScalesIsNotScaled(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 2)
	addAutoscaler(t, namespace, "orders", 2, 10)
	_, err := tryRun(t, bind(t, action(t, "kubernetes.scale"), "{namespace: "+namespace+", deployment: orders, replicas: 4}"), "run/1")
	refused(t, err, actions.ClassPermanent, "the autoscaler orders scales it (up to 10); move its bounds with kubernetes.hpa_bounds")
}

func TestBoundsOfAnAutoscaler(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addAutoscaler(t, namespace, "orders", 2, 10)
	_, err := tryRun(t, bind(t, action(t, "kubernetes.hpa_bounds"), "{namespace: "+namespace+", autoscaler: orders, min: 11}"), "run/1")
	refused(t, err, actions.ClassPermanent, "at least 11 is more than at most 10; set both")
	b := bind(t, action(t, "kubernetes.hpa_bounds"), "{namespace: "+namespace+", autoscaler: orders, min: 11, max: 12}")
	if moved := fmt.Sprint(run(t, b, "run/1")); moved != "map[before:map[max:10 min:2] now:map[max:12 min:11]]" {
		t.Errorf("%s", moved)
	}
	hpas := real.Set.AutoscalingV2().HorizontalPodAutoscalers(namespace)
	now, err := hpas.Get(t.Context(), "orders", metav1.GetOptions{})
	if err != nil || *now.Spec.MinReplicas != 11 || now.Spec.MaxReplicas != 12 {
		t.Errorf("%d to %d (%v)", *now.Spec.MinReplicas, now.Spec.MaxReplicas, err)
	}
	now.Spec.MaxReplicas = 20
	if _, err := hpas.Update(t.Context(), now, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	refused(t, b.Undo(t.Context(), "run/1", onlyTarget(t, b)), actions.ClassPermanent, "somebody has set 11 to 20 since this run set 11 to 12")
}

func TestWhatADocumentMaySayOfWorkloads(t *testing.T) {
	for text, want := range map[string]string{
		"kubernetes.rollout_restart {namespace: shop}":                                                    "p:1:2: exactly one of deployment, statefulset and daemonset must be given (exactly-one)",
		"kubernetes.rollout_undo {namespace: shop, deployment: a, daemonset: b}":                          "exactly one of",
		"kubernetes.rollout_status {namespace: shop}":                                                     "exactly one of",
		"kubernetes.scale {namespace: shop, replicas: 2}":                                                 "exactly one of deployment and statefulset must be given",
		"kubernetes.rollout_restart {namespace: kube-system, daemonset: kube-proxy}":                      `p:1:13: namespace "kube-system" belongs to the cluster itself (system-namespace)`,
		"kubernetes.rollout_restart {namespace: kube-system, daemonset: p, allow_system_namespace: true}": "",
		"kubernetes.rollout_restart {namespace: shop, deployment: '../../secrets/x'}":                     "does not match",
		"kubernetes.rollout_restart {namespace: 'a/b', deployment: x}":                                    "does not match",
		"kubernetes.rollout_restart {namespace: shop, deployment: ''}":                                    "does not match",
		"kubernetes.rollout_restart {namespace: shop, deployment: x, kind: y}":                            "unknown key",
		"kubernetes.rollout_restart {deployment: x}":                                                      `needs the key "namespace"`,
		"kubernetes.rollout_restart {namespace: shop, statefulset: db, deployment: null}":                 "",
		"kubernetes.rollout_restart {namespace: " + strings.Repeat("a", 64) + ", deployment: x}":          "namespace must be at most 63",
		"kubernetes.rollout_restart {namespace: shop, deployment: a.b-c}":                                 "",
		"kubernetes.scale {namespace: shop, deployment: a, replicas: 0}":                                  "p:1:44: 0 replicas end the service (scale-to-zero)",
		"kubernetes.scale {namespace: shop, deployment: a, replicas: 0, allow_zero: true}":                "",
		"kubernetes.scale {namespace: shop, deployment: a, replicas: 1001}":                               "at most 1000",
		"kubernetes.scale {namespace: kube-system, deployment: coredns, replicas: 3}":                     "belongs to the cluster itself",
		"kubernetes.hpa_bounds {namespace: shop, autoscaler: a}":                                          "min or max must be given",
		"kubernetes.hpa_bounds {namespace: shop, autoscaler: a, min: 3, max: 2}":                          "min is more than max",
		"kubernetes.cordon {}":             "all nodes would be meant",
		"kubernetes.drain {selector: ''}":  "an empty one would mean all",
		"kubernetes.drain {names: [node]}": "",
	} {
		name, params, _ := strings.Cut(text, " ")
		_, problems := named(t, System(nil), name).Bind([]byte(params))
		got := ""
		if err := problems.Err(); err != nil {
			got = strings.ReplaceAll(err.Error(), name+":", "p:")
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want …%s…", text, got, want)
		}
	}
}
