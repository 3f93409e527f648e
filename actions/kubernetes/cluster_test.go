package kubernetes

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// action is one action over the stand-in.
func (s *apiServer) action(t *testing.T, name string) actions.Action {
	t.Helper()
	return actionOver(t, "{kubeconfig: '"+s.kubeconfig(t, s.address())+"'}", name, time.Now)
}

func actionOver(t *testing.T, config, name string, now func() time.Time) actions.Action {
	t.Helper()
	nodes, problems := document.Parse("config.yaml", []byte("prod: {kubernetes: "+config+"}"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{connection().Erase()}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	for _, a := range newSystem(conns, now).Actions {
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

func run[R any](t *testing.T, b actions.Bound, key string, target actions.Target) R {
	t.Helper()
	var result R
	raw, err := b.Run(t.Context(), actions.Key(key), target)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// pod is one of a ReplicaSet, created an hour ago.
func pod(name, app string, change ...func(*corev1.Pod)) *corev1.Pod {
	controller := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{"app": app},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: app + "-7d9", UID: "rs", Controller: &controller}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func age(d time.Duration) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.CreationTimestamp = metav1.NewTime(time.Now().Add(-d)) }
}

func podPath(name string) string { return "/api/v1/namespaces/shop/pods/" + name }

const deploymentPath = "/apis/apps/v1/namespaces/shop/deployments/orders-api"

func deployment(change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Name: "orders-api", Annotations: map[string]string{"deployment.kubernetes.io/revision": "4"},
	}}
	for _, c := range change {
		c(d)
	}
	return d
}

func ids(s actions.Selection) string {
	var all string
	for _, target := range s.Targets {
		all += fmt.Sprintln(target.ID)
	}
	return all
}
