// Package pods has the actions that replace pods.
package pods

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// Actions lists them.
func Actions(env cluster.Env) []actions.Action {
	s := system{env}
	return []actions.Action{
		s.deletePodsAction(),
		s.evictPodsAction(),
		s.restartPodsAction(),
	}
}

type system struct{ cluster.Env }
