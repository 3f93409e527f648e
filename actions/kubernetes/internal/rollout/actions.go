// Package rollout has the actions on workloads: their rollouts, and how many pods
// they have.
package rollout

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// Actions lists them.
func Actions(env cluster.Env) []actions.Action {
	s := system{env}
	return []actions.Action{
		s.rolloutRestartAction(),
		s.rolloutUndoAction(),
		s.rolloutStatusAction(),
		s.scaleAction(),
		s.hpaBoundsAction(),
	}
}

type system struct{ cluster.Env }
