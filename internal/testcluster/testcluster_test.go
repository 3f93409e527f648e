package testcluster

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNodesAreReady(t *testing.T) {
	nodes, err := cluster.Set.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil || len(nodes.Items) != Nodes {
		t.Fatalf("%d nodes (%v)", len(nodes.Items), err)
	}
	if ready := readyNodes(nodes); ready != Nodes {
		t.Errorf("%d are ready", ready)
	}
}

func readyNodes(nodes *corev1.NodeList) (n int) {
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n
}
