package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
	"github.com/runbook-engine/runbook/internal/version"
)

type config struct {
	Kubeconfig secret.File `json:"kubeconfig" optional:"true" doc:"Kubeconfig file. Without it: the service account when the engine runs in a pod, else what kubectl would use (KUBECONFIG, ~/.kube/config)."`
	Context    string      `json:"context" optional:"true" doc:"Context of the kubeconfig; the current one unless set."`
}

// client is a connection under its name in the engine's config.
type client struct {
	name     string
	set      *kubernetes.Clientset
	settings *rest.Config
}

func connection() actions.Connection[config, client] {
	return actions.Connection[config, client]{
		Kind: Kind,
		Doc:  "The API server of a Kubernetes cluster.",
		Open: func(_ context.Context, name string, c config) (client, error) { return open(name, c) },
	}
}

// Kind is that of connections to clusters.
const Kind = "kubernetes"

// Settings reach the cluster of a connection, for clients of other parts of its
// API.
func Settings(ctx context.Context, conns *actions.Connections, name string) (*rest.Config, error) {
	c, err := connection().Get(ctx, conns, name)
	if err != nil {
		return nil, err
	}
	return rest.CopyConfig(c.settings), nil
}

func (s system) client(ctx context.Context, name string) (client, error) {
	return connection().Get(ctx, s.conns, name)
}

// open sends nothing: a cluster that is down now may be up when it is needed.
func open(name string, c config) (client, error) {
	settings, err := c.settings()
	if err != nil {
		return client{}, actions.Permanent(err)
	}
	set, err := kubernetes.NewForConfig(tuned(settings))
	if err != nil {
		return client{}, actions.Permanent(err)
	}
	return client{name, set, settings}, nil
}

func (c config) settings() (*rest.Config, error) {
	if c == (config{}) {
		settings, err := rest.InClusterConfig()
		if !errors.Is(err, rest.ErrNotInCluster) {
			return settings, err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if c.Kubeconfig != "" {
		rules.ExplicitPath = string(c.Kubeconfig)
	}
	chosen := &clientcmd.ConfigOverrides{CurrentContext: c.Context}
	settings, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, chosen).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no kubeconfig was found, and the engine does not run in a pod; set kubeconfig in the connection")
	}
	return settings, err
}

const (
	// The limits of the client: an incident must not become a flood on the API
	// server, which has its own limits besides.
	queriesPerSecond = 20
	burst            = 40
	// requestTimeout bounds one request; the caller's context may end it earlier.
	requestTimeout = 30 * time.Second
)

func tuned(settings *rest.Config) *rest.Config {
	settings.QPS, settings.Burst = queriesPerSecond, burst
	settings.Timeout = requestTimeout
	settings.UserAgent = fmt.Sprintf("runbook/%s (%s/%s)", version.Version(), runtime.GOOS, runtime.GOARCH)
	// Warnings are about versions of the API, which we chose.
	settings.WarningHandler = rest.NoWarnings{}
	if settings.ExecProvider != nil {
		settings.ExecProvider.StdinUnavailable = true
		settings.ExecProvider.StdinUnavailableMessage = "the engine can not ask a person to log in"
	}
	return settings
}
