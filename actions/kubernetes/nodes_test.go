package kubernetes

import (
	"errors"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// on puts the pods of a Deployment on a node.
func onNode(name string) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeName = name }
}

func TestWhichNodesAreSelected(t *testing.T) {
	setCordon(t, "node-2", true)
	t.Cleanup(func() { uncordon(t, "node-2") })
	for text, want := range map[string]string{
		"kubernetes.cordon {names: [node-3, node-1, gone], limit: 5}":                                 "node-1 node-3",
		"kubernetes.cordon {names: [node-3, node-1]}":                                                 "node-1",
		"kubernetes.cordon {names: [node-2]}":                                                         "",
		"kubernetes.cordon {selector: kubernetes.io/os=linux, limit: 100}":                            "node-1 node-3",
		"kubernetes.cordon {selector: kubernetes.io/hostname=node-3, names: [node-1, node-3]}":        "node-3",
		"kubernetes.uncordon {selector: kubernetes.io/os=linux, limit: 100}":                          "node-2",
		"kubernetes.drain {selector: 'kubernetes.io/hostname in (node-1, node-2, node-9)', limit: 9}": "node-1 node-2",
	} {
		name, params, _ := strings.Cut(text, " ")
		s := selected(t, bind(t, action(t, name), params))
		if got := podNames(s); got != want || s.Population != testcluster.Nodes || *s.Healthy != testcluster.Nodes-1 || s.Name != "node/prod" {
			t.Errorf("%s: %q of %d of %s, %d healthy, want %q", text, got, s.Population, s.Name, *s.Healthy, want)
		}
		for _, target := range s.Targets {
			if target.Unhealthy != (target.ID == "node/node-2") {
				t.Errorf("%+v", target)
			}
		}
	}
}

func TestUndoOpensNothingThatOthersClosed(t *testing.T) {
	t.Parallel()
	node := addNode(t)
	b := bind(t, action(t, "kubernetes.cordon"), "{names: ["+node+"]}")
	target := onlyTarget(t, b)
	setCordon(t, node, true) // by somebody else, after the selection
	if result, err := tryRunOn(t, b, "run/1", target); err != nil || result["changed"] != false {
		t.Errorf("%v (%v)", result, err)
	}
	if err := b.Undo(t.Context(), "run/1", target); err != nil || !strings.HasPrefix(nodeState(t, node), "true") {
		t.Errorf("%v, and it is %s", err, nodeState(t, node))
	}
}

func TestADrainMovesPodsAndLeavesWhatBelongsToTheNode(t *testing.T) {
	t.Parallel()
	namespace, node := real.Namespace(t), addNode(t)
	real.Deploy(t, namespace, "web", 2, func(d *appsv1.Deployment) { prefer(d, node) })
	set(t, namespace, appsv1.RollingUpdateStatefulSetStrategyType, tolerant)
	run(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", daemonset: agent, wait: 1m}"), "")
	here := func(p *corev1.Pod) { p.Spec.NodeName = node }
	addPod(t, namespace, "static", testcluster.Image, here, func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} })
	addPod(t, namespace, "ended", testcluster.Image, here)
	awaitPods(t, namespace, "app=ended", "the pod to run", func(pods []corev1.Pod) error {
		if len(pods) != 1 || pods[0].Status.Phase != corev1.PodRunning {
			return errors.New("it does not")
		}
		return nil
	})
	if _, err := real.Set.CoreV1().Pods(namespace).Patch(t.Context(), "ended", types.MergePatchType, []byte(`{"status":{"phase":"Succeeded"}}`), metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	onIt := len(runningOn(t, namespace, "app=web", node))
	result := run(t, bind(t, action(t, "kubernetes.drain"), "{names: ["+node+"], wait: 1m}"), "run/1")
	if onIt == 0 || result["evicted"].(float64) < float64(onIt) {
		t.Errorf("%v of %d", result, onIt)
	}
	if left := runningOn(t, namespace, "", node); len(left) != 3 || !strings.HasPrefix(left[0], "agent-") || left[1] != "ended" || left[2] != "static" {
		t.Errorf("%v are left", left)
	}
	real.AwaitAvailable(t, namespace, "web")
	if now := runningOn(t, namespace, "app=web", node); len(now) > 0 || !strings.HasPrefix(nodeState(t, node), "true") {
		t.Errorf("%v came back to %s", now, nodeState(t, node))
	}
}

// prefer draws pods to a node, and lets them go elsewhere when it is closed.
func prefer(d *appsv1.Deployment, node string) {
	tolerant(&d.Spec.Template)
	d.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
		Weight: 100, Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}},
	}}}}
}

func runningOn(t *testing.T, namespace, selector, node string) (names []string) {
	t.Helper()
	for _, pod := range real.Pods(t, namespace, selector) {
		if pod.Spec.NodeName == node && pod.DeletionTimestamp == nil {
			names = append(names, pod.Name)
		}
	}
	return names
}

func TestADrainThatABudgetHoldsBackSaysWhichPodsAreLeft(t *testing.T) {
	t.Parallel()
	namespace, node := real.Namespace(t), addNode(t)
	real.Deploy(t, namespace, "web", 2, onNode(node))
	real.Budget(t, namespace, "web", intstr.FromInt32(2))
	b := bind(t, action(t, "kubernetes.drain"), "{names: ["+node+"], wait: 2s}")
	refused(t, b.Accepts(t.Context(), onlyTarget(t, b)), actions.ClassTransient, "disruption budget web needs 2 healthy pods and has 2")
	if !strings.HasPrefix(nodeState(t, node), "false") {
		t.Errorf("a dry run made it %s", nodeState(t, node))
	}
	_, err := tryRun(t, b, "run/1")
	refused(t, err, actions.ClassPermanent, "drain node "+node+": after 2s 2 pods are left: "+namespace+"/web-", "disruption budget web needs 2 healthy pods and has 2")
	if len(runningOn(t, namespace, "app=web", node)) != 2 {
		t.Errorf("%s", podsThere(t, namespace))
	}
}

func TestADrainRefusesWhatWouldBeLostBeforeItChangesAnything(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	for why, change := range map[string]func(*corev1.Pod){
		"no controller would replace " + namespace + "/db-": func(*corev1.Pod) {},
		"has an emptyDir volume": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		},
	} {
		node := addNode(t)
		addPod(t, namespace, "db-"+node, testcluster.Image, change, func(p *corev1.Pod) { p.Spec.NodeName = node })
		unmanaged := ", allow_unmanaged: true"
		if strings.HasPrefix(why, "no controller") {
			unmanaged = ""
		}
		_, err := tryRun(t, bind(t, action(t, "kubernetes.drain"), "{names: ["+node+"], wait: 30s"+unmanaged+"}"), "run/1")
		refused(t, err, actions.ClassPermanent, why)
		if !strings.HasPrefix(nodeState(t, node), "false") || len(runningOn(t, namespace, "", node)) != 1 {
			t.Errorf("%s: the node is %s", why, nodeState(t, node))
		}
		run(t, bind(t, action(t, "kubernetes.drain"), "{names: ["+node+"], wait: 1m, allow_unmanaged: true, allow_local_data: true}"), "run/2")
		if left := runningOn(t, namespace, "", node); len(left) > 0 {
			t.Errorf("%s: that was allowed, and %v are left", why, left)
		}
	}
}

func TestADrainGivesPodsTheGraceThatWasSet(t *testing.T) {
	t.Parallel()
	namespace, node := real.Namespace(t), addNode(t)
	addPod(t, namespace, "db", testcluster.Image, func(p *corev1.Pod) {
		p.Annotations, p.Spec.NodeName = map[string]string{testcluster.Abandoned: ""}, node
	})
	_, err := tryRun(t, bind(t, action(t, "kubernetes.drain"), "{names: ["+node+"], wait: 1s, grace_period: 7s, allow_unmanaged: true}"), "run/1")
	refused(t, err, actions.ClassPermanent, "its node has not ended it")
	now, err := real.Set.CoreV1().Pods(namespace).Get(t.Context(), "db", metav1.GetOptions{})
	if err != nil || now.DeletionGracePeriodSeconds == nil || *now.DeletionGracePeriodSeconds != 7 || !strings.HasPrefix(nodeState(t, node), "true") {
		t.Errorf("%s (%v), and the node is %s", asJSON(t, now.DeletionGracePeriodSeconds), err, nodeState(t, node))
	}
}

// The kubelet of a node that is gone ends no pod.
func TestADrainOfANodeThatIsGoneSaysWhy(t *testing.T) {
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 1, onNode("node-3"))
	real.LoseNode(t, "node-3")
	b := bind(t, action(t, "kubernetes.drain"), "{names: [node-3], wait: 2s}")
	t.Cleanup(func() { uncordon(t, "node-3") })
	s := selected(t, b)
	if !s.Targets[0].Unhealthy || *s.Healthy != testcluster.Nodes-1 || !strings.HasPrefix(s.Targets[0].Doc, "not ready") {
		t.Errorf("%+v, %d healthy", s.Targets, *s.Healthy)
	}
	_, err := tryRun(t, b, "run/1")
	refused(t, err, actions.ClassPermanent, "drain node node-3: after 2s ", " pods are left: ", namespace+"/web-", "it was asked to go, and its node has not ended it")
}
