package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

func TestWhichPodsAreSelected(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addPod(t, namespace, "orders-old", testcluster.Image)
	addPod(t, namespace, "orders-failed", "failing.test/app")
	addPod(t, namespace, "orders-static", testcluster.Image, func(p *corev1.Pod) {
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
		p.Spec.NodeName = "node-1"
	})
	addPod(t, namespace, "orders-going", testcluster.Image, func(p *corev1.Pod) { p.Finalizers = []string{"test.example.com/keep"} })
	addPod(t, namespace, "stock-1", testcluster.Image)
	pods := real.Set.CoreV1().Pods(namespace)
	t.Cleanup(func() { dropFinalizers(t, namespace, "orders-going") })
	if err := pods.Delete(t.Context(), "orders-going", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitPods(t, namespace, "app=orders", "settled pods", func(pods []corev1.Pod) error {
		for _, pod := range pods {
			if pod.Status.Phase == corev1.PodPending && pod.DeletionTimestamp == nil {
				return fmt.Errorf("%s is pending", pod.Name)
			}
		}
		return nil
	})
	young := awaitYounger(t, namespace, "orders-young")
	// Seen from one hour after the youngest was made.
	hourLater := func() time.Time { return young.CreationTimestamp.Add(time.Hour) }
	for params, want := range map[string]struct {
		names               string
		population, healthy int
	}{
		"selector: app=orders":                             {"orders-failed orders-old orders-young", 5, 3},
		"selector: 'app in (orders,stock)'":                {"orders-failed orders-old stock-1 orders-young", 6, 4},
		"selector: app=orders, limit: 1":                   {"orders-failed", 5, 3},
		"selector: app=orders, phase: Running":             {"orders-old orders-young", 5, 3},
		"selector: app=orders, older_than: 3601s":          {"orders-failed orders-old", 5, 3},
		"selector: app=orders, older_than: 1h":             {"orders-failed orders-old orders-young", 5, 3},
		"selector: app=orders, names: [orders-young, x]":   {"orders-young", 5, 3},
		"names: [stock-1, orders-old, gone]":               {"orders-old stock-1", 6, 4},
		"names: [orders-going, orders-static, gone]":       {"", 6, 4},
		"selector: app=nothing":                            {"", 0, 0},
		"selector: app=orders, phase: Failed, limit: 100 ": {"orders-failed", 5, 3},
	} {
		b := bind(t, actionOver(t, "{kubeconfig: '"+real.Kubeconfig()+"'}", "kubernetes.delete_pods", hourLater), "{namespace: "+namespace+", allow_unmanaged: true, "+params+"}")
		s := selected(t, b)
		if podNames(s) != want.names || s.Population != want.population || len(s.Members) != want.population || *s.Healthy != want.healthy {
			t.Errorf("%s: %q of %d, %d healthy, want %+v", params, podNames(s), s.Population, *s.Healthy, want)
		}
		for _, target := range s.Targets {
			if target.Unhealthy != strings.Contains(target.ID, "failed") {
				t.Errorf("%s is unhealthy: %t", target.ID, target.Unhealthy)
			}
		}
	}
}

// Runs keep to the limits of a population together by its name: it is the same
// for the same pods, and says which cluster, namespace and selector.
func TestOnePopulationOfPodsHasOneName(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addPod(t, namespace, "orders-1", testcluster.Image)
	for text, want := range map[string]string{
		"delete_pods selector: app=orders":                                    "/app=orders",
		"delete_pods selector: app==orders, limit: 1":                         "/app=orders",
		"delete_pods selector: 'app in (orders)', older_than: 1h":             "/app=orders",
		"evict_pods selector: app=orders":                                     "/app=orders",
		"delete_pods selector: 'app in (stock,orders)', phase: Running":       "/app in (orders,stock)",
		"delete_pods selector: 'tier notin (web),app=orders'":                 "/app=orders,tier!=web",
		"delete_pods selector: 'app=orders, tier!=web', names: [orders-9, x]": "/app=orders,tier!=web",
		"delete_pods names: [orders-1]":                                       "",
	} {
		name, params, _ := strings.Cut(text, " ")
		s := selected(t, bind(t, action(t, "kubernetes."+name), "{namespace: "+namespace+", allow_unmanaged: true, "+params+"}"))
		if s.Name != "pod/prod/"+namespace+want {
			t.Errorf("%s: of the population %q, want …%s", text, s.Name, want)
		}
	}
}

// awaitYounger makes a running pod that is at least a second younger than all others.
func awaitYounger(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	var newest time.Time
	for _, pod := range real.Pods(t, namespace, "") {
		if pod.CreationTimestamp.After(newest) {
			newest = pod.CreationTimestamp.Time
		}
	}
	time.Sleep(time.Until(newest.Add(2 * time.Second))) // the API tells times in seconds
	young := addPod(t, namespace, name, testcluster.Image)
	awaitPods(t, namespace, "", "running pod", func(pods []corev1.Pod) error {
		for _, pod := range pods {
			if pod.Name == name && pod.Status.Phase != corev1.PodRunning {
				return fmt.Errorf("it is %s", pod.Status.Phase)
			}
		}
		return nil
	})
	return young
}

func dropFinalizers(t *testing.T, namespace, pod string) {
	t.Helper()
	if _, err := real.Set.CoreV1().Pods(namespace).Patch(t.Context(), pod, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
}

func TestATargetTellsWhatWouldBeLost(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Create(t, namespace, "orders", 1, testcluster.Of("crashing.test/app"))
	awaitPods(t, namespace, "app=orders", "crashing pod", func(pods []corev1.Pod) error {
		if len(pods) == 0 || len(pods[0].Status.ContainerStatuses) == 0 {
			return errors.New("it has not started")
		}
		return nil
	})
	pod := real.Pods(t, namespace, "app=orders")[0]
	later := func() time.Time { return pod.CreationTimestamp.Add(3*time.Hour + 10*time.Second) }
	b := bind(t, actionOver(t, "{kubeconfig: '"+real.Kubeconfig()+"'}", "kubernetes.delete_pods", later), "{namespace: "+namespace+", selector: app=orders}")
	target := onlyTarget(t, b)
	if want := "Running, 3h old, 4 restarts, of ReplicaSet " + metav1.GetControllerOf(&pod).Name; target.Doc != want || !target.Unhealthy {
		t.Errorf("%+v, want %q", target, want)
	}
}

func TestPodsThatNobodyWouldReplaceAreRefused(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	addPod(t, namespace, "orders-debug", testcluster.Image)
	for _, name := range []string{"kubernetes.delete_pods", "kubernetes.evict_pods", "kubernetes.restart_pods"} {
		_, err := bind(t, action(t, name), "{namespace: "+namespace+", selector: app=orders}").Targets(t.Context())
		refused(t, err, actions.ClassPermanent, "no controller would replace "+namespace+"/orders-debug")
	}
	if s := selected(t, bind(t, action(t, "kubernetes.delete_pods"), "{namespace: "+namespace+", selector: app=orders, allow_unmanaged: true}")); len(s.Targets) != 2 {
		t.Errorf("allowed, it gives %v", s.Targets)
	}
}

func TestALargeNamespaceIsReadInPages(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	const all = 501 // one more than a page
	var makers sync.WaitGroup
	for part := range 10 {
		makers.Go(func() {
			for i := part; i < all; i += 10 {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("orders-%03d", i), Labels: map[string]string{"app": "orders"}}, Spec: testcluster.Template("orders", testcluster.Image).Spec}
				pod.Spec.SchedulerName = "nobody" // they need not run
				if _, err := real.Set.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	makers.Wait()
	s := newFaulty(t)
	got := selected(t, bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: "+namespace+", selector: app=orders, limit: 100, allow_unmanaged: true}"))
	if got.Population != all || len(got.Targets) != 100 || s.count("GET") != 2 {
		t.Errorf("%d of %d in %d pages", len(got.Targets), got.Population, s.count("GET"))
	}
}

func TestOnlyThePodThatWasMeantIsDeleted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"kubernetes.delete_pods", "kubernetes.evict_pods"} {
		namespace := real.Namespace(t)
		addPod(t, namespace, "db-0", testcluster.Image, nowhere)
		b := bind(t, action(t, name), "{namespace: "+namespace+", selector: app=db, allow_unmanaged: true}")
		target := onlyTarget(t, b)
		first, err := tryRunOn(t, b, "run/1", target)
		if err != nil {
			t.Fatal(err)
		}
		awaitPods(t, namespace, "", "deleted pod", none)
		if again, err := tryRunOn(t, b, "run/1", target); err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
			t.Errorf("gone: first %v, again %v (%v)", first, again, err)
		}
		addPod(t, namespace, "db-0", testcluster.Image, nowhere)
		before := podsThere(t, namespace)
		if again, err := tryRunOn(t, b, "run/1", target); err != nil || fmt.Sprint(again) != fmt.Sprint(first) || podsThere(t, namespace) != before {
			t.Errorf("recreated: first %v, again %v (%v), and left %s", first, again, err, podsThere(t, namespace))
		}
	}
}

// nowhere leaves a pod without a node, so that no kubelet has a hand in it.
func nowhere(p *corev1.Pod) { p.Spec.SchedulerName = "nobody" }

func none(pods []corev1.Pod) error {
	if len(pods) > 0 {
		return fmt.Errorf("%d pods", len(pods))
	}
	return nil
}

func TestAPodGetsTheGraceThatWasSet(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	for i, name := range []string{"kubernetes.delete_pods", "kubernetes.evict_pods"} {
		pod := fmt.Sprint("db-", i)
		addPod(t, namespace, pod, testcluster.Image, func(p *corev1.Pod) { p.Annotations = map[string]string{testcluster.Abandoned: ""} })
		awaitPods(t, namespace, "app=db", "scheduled pod", func(pods []corev1.Pod) error {
			if node := pods[i].Spec.NodeName; node == "" {
				return errors.New("it has no node")
			}
			return nil
		})
		run(t, bind(t, action(t, name), "{namespace: "+namespace+", names: ["+pod+"], grace_period: 7s, allow_unmanaged: true}"), "run/1")
		now, err := real.Set.CoreV1().Pods(namespace).Get(t.Context(), pod, metav1.GetOptions{})
		if err != nil || now.DeletionGracePeriodSeconds == nil || *now.DeletionGracePeriodSeconds != 7 {
			t.Errorf("%s: %v (%v)", name, now.DeletionGracePeriodSeconds, err)
		}
	}
}

func TestAConflictThatIsNotAboutAnotherPodIsTransient(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addPod(t, namespace, "orders-1", testcluster.Image)
	s := newFaulty(t)
	s.before = on(http.MethodDelete, func(w http.ResponseWriter) {
		fail(w, apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "orders-1", fmt.Errorf("try again")))
	})
	_, err := tryRun(t, bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: "+namespace+", names: [orders-1], allow_unmanaged: true}"), "run/1")
	refused(t, err, actions.ClassTransient, "try again")
}

func TestATargetThatIsNoPodOfTheNamespaceIsRefused(t *testing.T) {
	s := newFaulty(t)
	b := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: other, selector: app=orders}")
	for _, target := range []string{
		"pod/shop/orders-1@uid", "pod/other/a", "pod/other/a@", "pod/other/@uid", "pod/other/../shop/pods/a@uid", "pod/other/A B@uid",
	} {
		_, err := tryRunOn(t, b, "run/1", actions.Target{ID: target})
		if refused(t, err, actions.ClassPermanent); s.count("") != 0 {
			t.Errorf("%s was asked for", target)
		}
	}
}

func TestWhatABudgetRefusesIsAskedForAgainAndThenReported(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 2)
	real.Budget(t, namespace, "web", intstr.FromInt32(2))
	s := newFaulty(t)
	b := bind(t, s.action(t, "kubernetes.evict_pods"), "{namespace: "+namespace+", selector: app=web, limit: 1, patience: 2s}")
	before := podsThere(t, namespace)
	_, err := tryRun(t, b, "run/1")
	refused(t, err, actions.ClassPermanent, "create pods/eviction "+namespace+"/web-", "disruption budget web needs 2 healthy pods and has 2", "refused for 2s")
	if podsThere(t, namespace) != before || s.count("POST") < 2 {
		t.Errorf("asked %d times, it left %s", s.count("POST"), podsThere(t, namespace))
	}
}

func TestAnEvictionGoesOnOnceTheBudgetAllowsIt(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 2)
	real.Budget(t, namespace, "web", intstr.FromInt32(2))
	s := newFaulty(t)
	var once sync.Once
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && s.count("POST") > 1 {
			once.Do(func() {
				if _, err := real.Set.PolicyV1().PodDisruptionBudgets(namespace).Patch(t.Context(), "web", types.MergePatchType, []byte(`{"spec":{"minAvailable":1}}`), metav1.PatchOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		return false
	}
	run(t, bind(t, s.action(t, "kubernetes.evict_pods"), "{namespace: "+namespace+", selector: app=web, limit: 1, patience: 5m}"), "run/1")
}

func TestPodsAreRestartedOneByOneAndOnlyWhileTheirReplacementsGetReady(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	d := real.Deploy(t, namespace, "web", 2)
	b := bind(t, action(t, "kubernetes.restart_pods"), "{namespace: "+namespace+", selector: app=web, ready_within: 1m}")
	targets := selected(t, b).Targets
	before := podsThere(t, namespace)
	for _, target := range targets {
		if _, err := tryRunOn(t, b, "run/1", target); err != nil {
			t.Fatal(err)
		}
		if ready := real.AwaitAvailable(t, namespace, "web"); ready.Status.ReadyReplicas != 2 {
			t.Errorf("%d are ready", ready.Status.ReadyReplicas)
		}
	}
	for line := range strings.Lines(before) {
		if strings.Contains(podsThere(t, namespace), strings.TrimSpace(line)) {
			t.Errorf("%s of %s was not replaced", line, d.Name)
		}
	}
}

func TestAReplacementThatDoesNotGetReadyFailsTheRestart(t *testing.T) {
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 1)
	b := bind(t, action(t, "kubernetes.restart_pods"), "{namespace: "+namespace+", selector: app=web, ready_within: 2s}")
	target := onlyTarget(t, b)
	for i := range testcluster.Nodes {
		setCordon(t, fmt.Sprint("node-", i+1), true)
		t.Cleanup(func() { uncordon(t, fmt.Sprint("node-", i+1)) })
	}
	_, err := tryRunOn(t, b, "run/1", target)
	refused(t, err, actions.ClassPermanent, "was evicted, and after 2s ReplicaSet web-", "0 of 1 pods are ready")
}

func TestWhichPodsADocumentMayName(t *testing.T) {
	for text, want := range map[string]string{
		"{namespace: shop}":                                                     "without both, all pods of the namespace would be meant",
		"{namespace: shop, selector: ''}":                                       "an empty one would mean all",
		"{namespace: shop, selector: ' '}":                                      "an empty one would mean all",
		"{namespace: shop, selector: 'app=='}":                                  "",
		"{namespace: shop, selector: 'app in'}":                                 "unable to parse requirement",
		"{namespace: shop, names: []}":                                          "names must be at least 1",
		"{namespace: shop, names: ['a/b']}":                                     "does not match",
		"{namespace: shop, names: [a], limit: 0}":                               "at least 1",
		"{namespace: kube-system, selector: k8s-app=kube-dns}":                  "belongs to the cluster itself",
		"{namespace: kube-system, selector: a=b, allow_system_namespace: true}": "",
	} {
		for _, name := range []string{"kubernetes.delete_pods", "kubernetes.evict_pods", "kubernetes.restart_pods"} {
			_, problems := named(t, System(nil), name).Bind([]byte(text))
			if err := problems.Err(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: %v, want …%s…", name, text, err, want)
			}
		}
	}
}
