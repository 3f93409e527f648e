// Package kubernetes has the actions on a Kubernetes cluster, through its API.
package kubernetes

import (
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// System is the actions of the package and their connection.
func System(conns *actions.Connections) actions.System {
	return newSystem(conns, time.Now)
}

func newSystem(conns *actions.Connections, now func() time.Time) actions.System {
	s := system{conns: conns, now: now}
	return actions.System{
		Connection: connection().Erase(),
		Actions:    []actions.Action{s.deletePodsAction(), s.rolloutRestartAction()},
	}
}

type system struct {
	conns *actions.Connections
	now   func() time.Time
}
