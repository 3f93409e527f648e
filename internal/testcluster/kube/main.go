// Command kube is a Kubernetes cluster for tests in one process: etcd, API
// server, controller manager and scheduler as released, and kwok, which plays
// the kubelets. It is a module of its own, because it requires what the product
// must not. Kubernetes does not support this use, so all versions are pinned.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
)

// cluster is where its parts listen, on the loopback, and where they keep what.
type cluster struct {
	dir                            string
	apiPort, etcdPort, kubeletPort int
	peerPort, kwokPort             int
	nodes                          int
}

func (c cluster) file(name string) string { return filepath.Join(c.dir, name) }

func main() {
	var c cluster
	flag.StringVar(&c.dir, "dir", "", "directory of the data; kubeconfig appears in it once the cluster is ready")
	flag.IntVar(&c.apiPort, "api-port", 0, "port of the API server")
	flag.IntVar(&c.etcdPort, "etcd-port", 0, "port of etcd")
	flag.IntVar(&c.peerPort, "etcd-peer-port", 0, "port of etcd for its peers, of which there are none")
	flag.IntVar(&c.kubeletPort, "kubelet-port", 0, "port of the kubelets")
	flag.IntVar(&c.kwokPort, "kwok-port", 0, "port of kwok, which plays the kubelets but for commands in pods")
	flag.IntVar(&c.nodes, "nodes", 3, "number of nodes")
	flag.Parse()
	logs.InitLogs()
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	if err := c.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

// run ends when a part of the cluster does.
func (c cluster) run(ctx context.Context) error {
	if err := os.RemoveAll(c.file("kubeconfig")); err != nil {
		return err
	}
	if err := c.writeCredentials(); err != nil {
		return fmt.Errorf("write credentials: %w", err)
	}
	etcd, err := c.startEtcd()
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	ended := make(chan error)
	start := func(name string, part func(context.Context) error) {
		go func() { ended <- fmt.Errorf("%s ended: %w", name, part(ctx)) }()
	}
	go func() { ended <- fmt.Errorf("etcd ended: %w", <-etcd.Err()) }()
	start("API server", c.apiServer)
	go func() {
		if err := c.begin(ctx, start); err != nil {
			ended <- err
		}
	}()
	return <-ended
}

// begin starts what needs an API server, and tells that the cluster is ready.
func (c cluster) begin(ctx context.Context, start func(string, func(context.Context) error)) error {
	set, err := c.awaitAPI(ctx)
	if err != nil {
		return err
	}
	start("controller manager", c.controllerManager)
	start("scheduler", c.scheduler)
	start("kubelets", c.kubelets)
	start("commands in pods", c.execs)
	if err := c.awaitNodes(ctx, set); err != nil {
		return err
	}
	return os.Rename(c.file("starting.kubeconfig"), c.file("kubeconfig"))
}
