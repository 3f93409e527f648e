package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	_ "embed"

	"github.com/spf13/pflag"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	"sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
)

//go:embed pods.yaml
var pods string

// kubelets plays those of all nodes. Each container has the same log, which a test
// may write.
func (c cluster) kubelets(ctx context.Context) error {
	rules := strings.Join([]string{fast.DefaultNodeInit, heartbeat.DefaultNodeHeartbeatWithLease, pods, c.insideOfPods()}, "\n---\n")
	if err := os.WriteFile(c.file("kwok.yaml"), []byte(rules), 0o600); err != nil {
		return err
	}
	for _, log := range []string{"container.log", "previous.log"} {
		if err := os.WriteFile(c.file(log), nil, 0o600); err != nil {
			return err
		}
	}
	os.Args = []string{"kwok", "--config=" + c.file("kwok.yaml")} // kwok reads this flag nowhere else
	ctx, err := config.InitFlags(ctx, pflag.NewFlagSet("kwok", pflag.ContinueOnError))
	if err != nil {
		return err
	}
	command := kwok.NewCommand(ctx)
	command.Version = "" // component-base owns --version
	command.PersistentFlags().StringSlice("config", nil, "read above")
	return execute(ctx, command,
		"--kubeconfig="+c.kubeconfigOfParts(),
		"--manage-all-nodes=false", "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
		"--node-ip=127.0.0.1", fmt.Sprintf("--node-port=%d", c.kubeletPort), fmt.Sprintf("--server-address=127.0.0.1:%d", c.kwokPort),
		"--tls-cert-file="+c.file("apiserver.crt"), "--tls-private-key-file="+c.file("apiserver.key"),
		"--node-lease-duration-seconds=40",
	)
}

func (c cluster) insideOfPods() string {
	return fmt.Sprintf(`
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata: {name: file}
spec: {logs: [{logsFile: '%s', previousLogsFile: '%s'}]}
`, c.file("container.log"), c.file("previous.log"))
}
