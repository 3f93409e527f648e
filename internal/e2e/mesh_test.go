package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/runbook-engine/runbook/chaos/chaosmesh/standin"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// runStandin plays the controller of Chaos Mesh in a process of its own, for a
// namespace of the cluster of a kubeconfig.
func runStandin(place string) error {
	ctx := untilAsked()
	kubeconfig, namespace, _ := strings.Cut(place, "#")
	settings, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	settings.QPS, settings.Burst = 1000, 1000
	if _, err := standin.Start(ctx, settings, namespace, "NetworkChaos", "PodChaos"); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func startMeshCluster(t testing.TB) *testcluster.Cluster {
	t.Helper()
	cluster := shared.get(t)
	cluster.Install(t, "networkchaos.chaos-mesh.org", "podnetworkchaos.chaos-mesh.org", "podchaos.chaos-mesh.org")
	return cluster
}

// mesh is a namespace with one pod, and a controller of Chaos Mesh that looks
// after it and can be killed.
type mesh struct {
	t          testing.TB
	cluster    *testcluster.Cluster
	namespace  string
	any        dynamic.Interface
	controller *child
}

func newMesh(t testing.TB, cluster *testcluster.Cluster) *mesh {
	t.Helper()
	m := &mesh{t: t, cluster: cluster, namespace: cluster.Namespace(t)}
	cluster.Deploy(t, m.namespace, "orders", 1)
	var err error
	if m.any, err = dynamic.NewForConfig(cluster.Config); err != nil {
		t.Fatal(err)
	}
	m.start()
	return m
}

// start starts the controller, also instead of one that was killed.
func (m *mesh) start() {
	m.t.Helper()
	m.controller = startController(m.t, m.cluster, m.namespace)
}

func startController(t testing.TB, cluster *testcluster.Cluster, namespace string) *child {
	t.Helper()
	return spawn(t, filepath.Join(cluster.Dir(), namespace+".log"), beStandin, cluster.Kubeconfig()+"#"+namespace)
}

func (m *mesh) of(kind string) dynamic.ResourceInterface {
	return m.any.Resource(cm.SchemeGroupVersion.WithResource(kind)).Namespace(m.namespace)
}

// ruled: Chaos Mesh has given the pod rules, which stay whatever becomes of the
// controller.
func (m *mesh) ruled() bool {
	list, err := m.of("podnetworkchaos").List(context.WithoutCancel(m.t.Context()), metav1.ListOptions{})
	if err != nil {
		return true
	}
	for _, one := range list.Items {
		if sets, _, _ := unstructured.NestedSlice(one.Object, "spec", "ipsets"); len(sets) > 0 {
			return true
		}
	}
	return false
}

// withoutEnd takes away what ends the experiment by itself.
func (m *mesh) withoutEnd() {
	m.t.Helper()
	list, err := m.of("networkchaos").List(m.t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		m.t.Fatal(list, err)
	}
	patch := []byte(`{"spec":{"duration":"10h"}}`)
	if _, err := m.of("networkchaos").Patch(m.t.Context(), list.Items[0].GetName(), types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mesh) connection() string {
	return fmt.Sprintf("  prod: {kubernetes: {kubeconfig: %q}}\n", m.cluster.Kubeconfig())
}
