// Package cluster is how the actions on Kubernetes reach a cluster: the
// connection, requests and what their failures mean, and changes of objects that
// are made once under a key.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
	"github.com/runbook-engine/runbook/internal/version"
)

// Config is the part of the engine's config that says how to reach a cluster,
// and what more than its access rules the engine may do there.
type Config struct {
	Kubeconfig secret.File      `json:"kubeconfig" optional:"true" doc:"Kubeconfig file. Without it: the service account when the engine runs in a pod, else what kubectl would use (KUBECONFIG, ~/.kube/config)."`
	Context    string           `json:"context" optional:"true" doc:"Context of the kubeconfig; the current one unless set."`
	Patch      []Allowed        `json:"patch,omitempty" optional:"true" doc:"Kinds of objects that kubernetes.patch may change. Every other one is refused."`
	Exec       []AllowedCommand `json:"exec,omitempty" optional:"true" doc:"Commands that kubernetes.exec may run in pods. Every other one is refused."`
	Copy       []AllowedFile    `json:"copy,omitempty" optional:"true" doc:"Files that kubernetes.copy may copy out of pods. Every other one is refused."`
}

// Client is a connection under its name in the engine's config.
type Client struct {
	Name    string
	Config  Config
	Set     *kubernetes.Clientset
	Dynamic dynamic.Interface
	Rest    *rest.Config

	dryRun []string
}

// Kind is that of connections to clusters.
const Kind = "kubernetes"

// Connection declares it.
func Connection() actions.Connection[Config, Client] {
	return actions.Connection[Config, Client]{
		Kind: Kind,
		Doc:  "The API server of a Kubernetes cluster.",
		Open: func(_ context.Context, name string, c Config) (Client, error) { return open(name, c) },
	}
}

// Rehearsing gives a client whose writes the API server checks in full, with
// access rules, admission and schema, and then does not keep.
func (c Client) Rehearsing() Client {
	c.dryRun = []string{metav1.DryRunAll}
	return c
}

// Asking is the key of a rehearsal, which leaves nothing that it could be known by.
const Asking = actions.Key("asking")

// open sends nothing: a cluster that is down now may be up when it is needed.
func open(name string, c Config) (Client, error) {
	settings, err := c.settings()
	if err != nil {
		return Client{}, actions.Permanent(err)
	}
	settings = tuned(settings)
	set, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return Client{}, actions.Permanent(err)
	}
	any, err := dynamic.NewForConfig(settings)
	if err != nil {
		return Client{}, actions.Permanent(err)
	}
	return Client{Name: name, Config: c, Set: set, Dynamic: any, Rest: settings}, nil
}

func (c Config) settings() (*rest.Config, error) {
	if c.Kubeconfig == "" && c.Context == "" {
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
