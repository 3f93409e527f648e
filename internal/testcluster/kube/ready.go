package main

import (
	"context"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	// lookEvery is how often something is looked at that will be ready in seconds.
	lookEvery = 50 * time.Millisecond
	// readyWithin is generous: the machine may have much else to do.
	readyWithin = 3 * time.Minute
)

// awaitAPI writes the kubeconfigs once there is a certificate.
func (c cluster) awaitAPI(ctx context.Context) (*kubernetes.Clientset, error) {
	err := until(ctx, func(context.Context) bool {
		_, err := os.Stat(c.file("apiserver.key"))
		return err == nil
	})
	if err != nil {
		return nil, fmt.Errorf("wait for the certificate of the API server: %w", err)
	}
	for _, path := range []string{c.kubeconfigOfParts(), c.file("starting.kubeconfig")} {
		if err := c.writeKubeconfig(path); err != nil {
			return nil, err
		}
	}
	settings, err := clientcmd.BuildConfigFromFlags("", c.kubeconfigOfParts())
	if err != nil {
		return nil, err
	}
	set, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, err
	}
	err = until(ctx, func(ctx context.Context) bool {
		return set.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil
	})
	return set, err
}

// awaitNodes makes the nodes, and waits until pods can run in the namespace default.
func (c cluster) awaitNodes(ctx context.Context, set *kubernetes.Clientset) error {
	for i := range c.nodes {
		name := fmt.Sprintf("node-%d", i+1)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{"kwok.x-k8s.io/node": "fake"},
			Labels:      map[string]string{"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"},
		}}
		if _, err := set.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return until(ctx, func(ctx context.Context) bool {
		_, err := set.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil && readyNodes(ctx, set) >= c.nodes
	})
}

// readyNodes counts the nodes that pods are scheduled on.
func readyNodes(ctx context.Context, set *kubernetes.Clientset) (n int) {
	nodes, err := set.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0
	}
	for _, node := range nodes.Items {
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
				n++
			}
		}
	}
	return n
}

func until(ctx context.Context, holds func(context.Context) bool) error {
	return wait.PollUntilContextTimeout(ctx, lookEvery, readyWithin, true, func(ctx context.Context) (bool, error) {
		return holds(ctx), nil
	})
}
