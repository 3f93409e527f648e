// Package nodes has the actions on nodes.
package nodes

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// Actions lists them.
func Actions(env cluster.Env) []actions.Action {
	s := system{env}
	return []actions.Action{
		s.cordonAction(),
		s.uncordonAction(),
		s.drainAction(),
	}
}

type system struct{ cluster.Env }
