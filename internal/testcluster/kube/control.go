package main

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

func (c cluster) startEtcd() (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = c.file("etcd")
	clients, peers := loopback("http", c.etcdPort), loopback("http", c.peerPort)
	config.ListenClientUrls, config.AdvertiseClientUrls = clients, clients
	config.ListenPeerUrls, config.AdvertisePeerUrls = peers, peers
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.UnsafeNoFsync = true // nothing here needs to outlive the machine
	config.LogLevel = "error"
	return embed.StartEtcd(config)
}

func loopback(scheme string, port int) []url.URL {
	return []url.URL{{Scheme: scheme, Host: fmt.Sprintf("127.0.0.1:%d", port)}}
}

func (c cluster) apiServer(context.Context) error {
	command := apiserver.NewAPIServerCommand()
	return execute(command.Context(), command,
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.etcdPort),
		fmt.Sprintf("--secure-port=%d", c.apiPort),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		"--cert-dir="+c.dir,
		"--token-auth-file="+c.file("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.file("accounts.key"),
		"--service-account-signing-key-file="+c.file("accounts.key"),
		"--service-cluster-ip-range=10.0.0.0/16",
		"--endpoint-reconciler-type=none",
		"--kubelet-preferred-address-types=InternalIP",
	)
}

func (c cluster) controllerManager(ctx context.Context) error {
	return execute(ctx, controllermanager.NewControllerManagerCommand(),
		"--kubeconfig="+c.kubeconfigOfParts(), "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file="+c.file("accounts.key"),
		"--kube-api-qps=500", "--kube-api-burst=1000",
		"--node-monitor-period=1s",
	)
}

func execute(ctx context.Context, command *cobra.Command, args ...string) error {
	command.SetArgs(args)
	return command.ExecuteContext(ctx)
}

// scheduler avoids the scheduler's command, which would install a second handler
// of signals.
func (c cluster) scheduler(ctx context.Context) error {
	options := scheduleroptions.NewOptions()
	flags := options.Flags.FlagSet("all")
	for _, set := range options.Flags.FlagSets {
		flags.AddFlagSet(set)
	}
	if err := flags.Parse([]string{"--kubeconfig=" + c.kubeconfigOfParts(), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=500", "--kube-api-burst=1000"}); err != nil {
		return err
	}
	completed, made, err := scheduler.Setup(ctx, options)
	if err != nil {
		return err
	}
	return scheduler.Run(ctx, completed, made)
}

// kubeconfigOfParts stays when kubeconfig appears.
func (c cluster) kubeconfigOfParts() string { return c.file("parts.kubeconfig") }
