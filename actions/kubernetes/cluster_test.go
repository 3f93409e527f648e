package kubernetes

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

var real *testcluster.Cluster

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(runChild(text))
	}
	os.Exit(testcluster.Main(m, &real))
}

// action is one over the cluster, with all rights.
func action(t *testing.T, name string) actions.Action {
	t.Helper()
	return actionOver(t, "{kubeconfig: '"+real.Kubeconfig()+"'}", name, time.Now)
}

func actionOver(t *testing.T, config, name string, now func() time.Time) actions.Action {
	t.Helper()
	return named(t, newSystem(connections(t, config), now), name)
}

func connections(t *testing.T, config string) *actions.Connections {
	t.Helper()
	nodes, problems := document.Parse("config.yaml", []byte("prod: {kubernetes: "+config+"}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{System(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	return conns
}

func named(t *testing.T, s actions.System, name string) actions.Action {
	t.Helper()
	for _, a := range s.Actions {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no action %s", name)
	return actions.Action{}
}

func bind(t *testing.T, a actions.Action, params string) actions.Bound {
	t.Helper()
	b, problems := a.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

type output map[string]any

// run runs on the only target.
func run(t *testing.T, b actions.Bound, key string) output {
	t.Helper()
	result, err := tryRun(t, b, key)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func tryRun(t *testing.T, b actions.Bound, key string) (result output, err error) {
	t.Helper()
	return tryRunOn(t, b, key, onlyTarget(t, b))
}

func tryRunOn(t *testing.T, b actions.Bound, key string, target actions.Target) (result output, err error) {
	t.Helper()
	raw, err := b.Run(t.Context(), actions.Key(key), target)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	return result, nil
}

func onlyTarget(t *testing.T, b actions.Bound) actions.Target {
	t.Helper()
	s := selected(t, b)
	if len(s.Targets) != 1 {
		t.Fatalf("the targets are %v", s.Targets)
	}
	return s.Targets[0]
}

func selected(t *testing.T, b actions.Bound) actions.Selection {
	t.Helper()
	s, err := b.Targets(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refused wants an error of a class that says each of these.
func refused(t *testing.T, err error, class actions.Class, says ...string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != class {
		t.Errorf("gives %v (%s), want it %s", err, actions.ClassOf(err), class)
		return
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("does not say %q: %v", want, err)
		}
	}
}

// addPod makes a pod that no controller has, and waits until it is what its
// image makes of it.
func addPod(t *testing.T, namespace, name, image string, change ...func(*corev1.Pod)) *corev1.Pod {
	t.Helper()
	template := testcluster.Template(strings.Split(name, "-")[0], image)
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name = name
	for _, c := range change {
		c(pod)
	}
	pod, err := real.Set.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// awaitPods waits until the pods of an app are so.
func awaitPods(t *testing.T, namespace, selector, what string, so func([]corev1.Pod) error) {
	t.Helper()
	testcluster.Eventually(t, what, func() error { return so(real.Pods(t, namespace, selector)) })
}

func podNames(s actions.Selection) string {
	var names []string
	for _, target := range s.Targets {
		place, _, _ := strings.Cut(target.ID, "@")
		names = append(names, place[strings.LastIndex(place, "/")+1:])
	}
	return strings.Join(names, " ")
}
