package chaosmesh_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/chaosmesh"
)

func create(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if _, err := cluster.Set.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// theirs is an experiment that somebody else has made, under a name of ours.
func theirs(t *testing.T, namespace, name string) {
	t.Helper()
	client, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	experiments := client.Resource(schema.GroupVersionResource{Group: "chaos-mesh.org", Version: "v1alpha1", Resource: "networkchaos"}).Namespace(namespace)
	_, err = experiments.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "chaos-mesh.org/v1alpha1", "kind": "NetworkChaos", "metadata": map[string]any{"name": name, "namespace": namespace},
		"spec": map[string]any{"action": "partition", "mode": "all", "selector": map[string]any{"pods": map[string]any{namespace: []any{"nobody"}}}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// What Chaos Mesh would accept and nobody wants is refused before a cluster is
// asked, most of it when a document is read.
func TestParametersAreStrict(t *testing.T) {
	catalog := chaos.NewCatalog(chaosmesh.Injector(nil))
	const a, b = "pods: {namespace: shop, labels: {app: a}}", "target: {namespace: shop, labels: {app: b}}"
	for params, says := range map[string]string{
		"network_delay {pods: {namespace: shop, labels: {}}, latency: 1s}":                      "labels",
		"network_delay {pods: {namespace: shop}, latency: 1s}":                                  "labels",
		"network_delay {pods: {labels: {app: a}}, latency: 1s}":                                 "namespace",
		"network_delay {pods: {namespace: 'a b', labels: {app: a}}, latency: 1s}":               "namespace",
		"network_delay {pods: {namespace: shop, labels: {app: a}, count: 0}, latency: 1s}":      "count",
		"network_delay {" + a + "}":                                                             "latency",
		"network_delay {" + a + ", latency: 0s}":                                                "latency",
		"network_delay {" + a + ", latency: -5m}":                                               "latency",
		"network_delay {" + a + ", latency: 200}":                                               "latency",
		"network_delay {" + a + ", latency: 1s, jitter: 2s}":                                    "jitter",
		"network_delay {" + a + ", latency: 1s, direction: from}":                               "needs a target",
		"network_delay {" + a + ", latency: 1s, direction: sideways}":                           "direction",
		"network_delay {" + a + ", latency: 1s, external: ['!!!']}":                             "no address",
		"network_delay {" + a + ", latency: 1s, external: []}":                                  "external",
		"network_delay {" + a + ", " + b + ", latency: 1s, external: [10.0.0.1]}":               "exclude",
		"network_delay {" + a + ", latency: 1s, correlation: 101}":                              "correlation",
		"network_partition {" + a + "}":                                                         "other side",
		"network_partition {" + a + ", target: {namespace: shop, labels: {}}}":                  "labels",
		"network_loss {" + a + ", percent: 150}":                                                "percent",
		"network_loss {" + a + ", percent: 0}":                                                  "percent",
		"network_bandwidth {" + a + ", rate: fast}":                                             "rate",
		"network_bandwidth {" + a + ", rate: 0bps}":                                             "rate",
		"pod_kill {" + a + ", grace: -1s}":                                                      "grace",
		"container_kill {" + a + "}":                                                            "containers",
		"container_kill {" + a + ", containers: []}":                                            "containers",
		"stress_cpu {" + a + ", workers: 0}":                                                    "workers",
		"stress_cpu {" + a + ", workers: 1, load: 101}":                                         "load",
		"stress_memory {" + a + ", size: much}":                                                 "size",
		"stress_memory {" + a + ", size: 101%}":                                                 "size",
		"io_latency {" + a + ", volume: data, delay: 1s}":                                       "volume",
		"io_fault {" + a + ", volume: /data, errno: 0}":                                         "errno",
		"dns {" + a + ", names: []}":                                                            "names",
		"http {" + a + ", port: 80}":                                                            "either abort or delay",
		"http {" + a + ", port: 80, abort: true, delay: 1s}":                                    "either abort or delay",
		"http {" + a + ", port: 0, abort: true}":                                                "port",
		"http {" + a + ", port: 80, abort: true, target: Request, code: 500}":                   "code",
		"time_skew {" + a + ", offset: later}":                                                  "offset",
		"apply {" + a + ", kind: Workflow, spec: {}}":                                           "kind",
		"apply {" + a + ", kind: AWSChaos, spec: {}}":                                           "kind",
		"apply {" + a + ", kind: JVMChaos, spec: {actoin: gc}}":                                 "actoin",
		"apply {" + a + ", kind: JVMChaos, spec: {action: gc, duration: 9h}}":                   "must not have duration",
		"apply {" + a + ", kind: JVMChaos, spec: {action: gc, selector: {}}}":                   "must not have selector",
		"apply {" + a + ", kind: JVMChaos, spec: {action: gc, remoteCluster: b}}":               "must not have remoteCluster",
		"apply {" + a + ", kind: JVMChaos, spec: {action: gc, RemoteCluster: b}}":               "must not have RemoteCluster",
		"apply {" + a + ", kind: JVMChaos, spec: {action: gc, \u017felector: {}}}":              "must not have \u017felector",
		"apply {" + a + ", kind: NetworkChaos, spec: {action: loss, Target: {mode: all}}}":      "must not have Target",
		"apply {" + a + ", kind: NetworkChaos, spec: {action: partition}}":                      "network_",
		"apply {" + a + ", kind: NetworkChaos, spec: {action: loss, direction: both}}":          "network_",
		"apply {" + a + ", kind: NetworkChaos, spec: {action: loss, externalTargets: ['!!!']}}": "must not have externalTargets",
		"apply {" + a + ", kind: PodChaos, spec: {action: pod-kill}}":                           "pod_kill",
	} {
		name, text, _ := strings.Cut(params, " ")
		f, known := catalog.Get("chaosmesh." + name)
		if !known {
			t.Fatal(name)
		}
		bound, problems := f.Bind([]byte(text))
		err := problems.Err()
		if err == nil {
			_, err = bound.Targets(t.Context())
			if actions.ClassOf(err) != actions.ClassPermanent {
				t.Errorf("%s is refused as %s", params, actions.ClassOf(err))
			}
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want …%s…", params, err, says)
		}
	}
}

// Chaos Mesh's own check has a say too: it knows what our rules do not.
func TestTheSecondOpinionIsAsked(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := bind(t, open(t, config()), "apply", "{pods: "+s.pods("orders")+", kind: JVMChaos, spec: {action: latency}}")
	fails(t, b.Inject(t.Context(), "gd-1.jvm", soon()), actions.ClassPermanent, "by Chaos Mesh itself")
}
