// Package testcluster gives tests a real Kubernetes cluster on the loopback:
// etcd, API server, controller manager and scheduler as released, and nodes and
// pods whose kubelets kwok plays (see kube/pods.yaml for what an image does).
// No container runs: a pod has no network, an exec runs on this machine, and
// all containers have the same log.
package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/runbook-engine/runbook/internal/lab/child"
)

// Nodes is how many a cluster has: node-1, node-2, …
const Nodes = 3

// readyWithin is ten times what it takes on an idle machine.
const readyWithin = time.Minute

// Cluster is a running one.
type Cluster struct {
	server *child.Server
	dir    string
	port   int

	// Config and Set reach it with all rights.
	Config *rest.Config
	Set    *kubernetes.Clientset
}

// Main runs the tests of a package with one cluster for all, and stops it. What
// it gives is for os.Exit.
func Main(m *testing.M, into **Cluster) int {
	dir, err := os.MkdirTemp("", "testcluster-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	c, err := Start(context.Background(), dir)
	if err != nil {
		return fail(err)
	}
	defer c.Stop()
	*into = c
	return m.Run()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// Start starts a cluster that keeps its data in dir, and waits until pods can
// run. It dies with our process.
func Start(ctx context.Context, dir string) (*Cluster, error) {
	program, err := Build(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	c.server, err = child.RunOnFreePorts(ctx, 5, func(ports []int) child.Program {
		c.port = ports[0]
		return child.Program{
			Name: "Kubernetes", Path: program, Dir: dir, Log: filepath.Join(dir, "log"),
			Args: []string{"-dir", dir, "-nodes", fmt.Sprint(Nodes), "-api-port", fmt.Sprint(ports[0]),
				"-etcd-port", fmt.Sprint(ports[1]), "-etcd-peer-port", fmt.Sprint(ports[2]), "-kubelet-port", fmt.Sprint(ports[3]), "-kwok-port", fmt.Sprint(ports[4])},
			Stop: syscall.SIGKILL, Orphan: syscall.SIGKILL, // its data is for nobody
			Ready: c.ready, Within: readyWithin,
		}
	})
	if err != nil {
		return nil, err
	}
	if err := c.connect(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// ready: the program makes its kubeconfig appear when pods can run.
func (c *Cluster) ready(context.Context) error {
	_, err := os.Stat(c.Kubeconfig())
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("not all of its parts are ready")
	}
	return err
}

// connect sets limits high enough for tests.
func (c *Cluster) connect() (err error) {
	if c.Config, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig()); err != nil {
		return err
	}
	c.Config.QPS, c.Config.Burst = 1000, 1000
	c.Set, err = kubernetes.NewForConfig(c.Config)
	return err
}

// Stop ends the cluster.
func (c *Cluster) Stop() error { return c.server.Stop() }

// Kubeconfig is the path of one with all rights.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.dir, "kubeconfig") }

// Address is host:port of the API server.
func (c *Cluster) Address() string { return child.Address(c.port) }

// KubeconfigAt is the path of one that takes another address for the API server:
// where nobody is, or a proxy that does not end TLS.
func (c *Cluster) KubeconfigAt(t testing.TB, address string) string {
	t.Helper()
	return c.kubeconfigWith(t, c.Address(), address)
}

// kubeconfigWith is the path of one in which a text is replaced.
func (c *Cluster) kubeconfigWith(t testing.TB, old, new string) string {
	t.Helper()
	text, err := os.ReadFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, bytes.ReplaceAll(text, []byte(old), []byte(new)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Log sets what the container logs of all pods hold, now and before their last
// restart.
func (c *Cluster) Log(t testing.TB, now, previous string) {
	t.Helper()
	for name, text := range map[string]string{"container.log": now, "previous.log": previous} {
		if err := os.WriteFile(filepath.Join(c.dir, name), runtimeLog(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// runtimeLog is a text as container runtimes keep it.
func runtimeLog(text string) (kept []byte) {
	for line := range strings.Lines(text) {
		kept = append(kept, "2026-01-02T03:04:05.000000006Z stdout F "+line...)
	}
	return kept
}

// Dir is the working directory of what an exec runs.
func (c *Cluster) Dir() string { return c.dir }
