package e2e

import (
	"context"
	"os"
	"sync"
	"testing"

	"github.com/runbook-engine/runbook/internal/testcluster"
)

// kube is a Kubernetes cluster that the first test to need it starts.
type kube struct {
	once    sync.Once
	dir     string
	cluster *testcluster.Cluster
	err     error
}

var shared kube

func (k *kube) get(t testing.TB) *testcluster.Cluster {
	t.Helper()
	k.once.Do(func() {
		if k.dir, k.err = os.MkdirTemp("", "e2e-"); k.err == nil {
			k.cluster, k.err = testcluster.Start(context.Background(), k.dir)
		}
	})
	if k.err != nil {
		t.Fatal(k.err)
	}
	return k.cluster
}

func (k *kube) stop() {
	if k.cluster != nil {
		_ = k.cluster.Stop()
	}
	_ = os.RemoveAll(k.dir)
}
