// Package kubernetes has the actions on a Kubernetes cluster, through its API.
package kubernetes

import (
	"context"
	"slices"
	"time"

	"k8s.io/client-go/rest"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cnpg"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/inside"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/nodes"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/objects"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/pods"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/rollout"
)

// System is the actions of the package and their connection.
func System(conns *actions.Connections) actions.System {
	return newSystem(conns, time.Now)
}

// Kind is that of connections to clusters.
const Kind = cluster.Kind

// Settings reach the cluster of a connection, for clients of other parts of its
// API.
func Settings(ctx context.Context, conns *actions.Connections, name string) (*rest.Config, error) {
	c, err := cluster.Connection().Get(ctx, conns, name)
	if err != nil {
		return nil, err
	}
	return rest.CopyConfig(c.Rest), nil
}

func newSystem(conns *actions.Connections, now func() time.Time) actions.System {
	env := cluster.Env{Conns: conns, Now: now}
	return actions.System{
		Connection: cluster.Connection().Erase(),
		Actions:    slices.Concat(pods.Actions(env), rollout.Actions(env), nodes.Actions(env), objects.Actions(env), inside.Actions(env), cnpg.Actions(env)),
	}
}
