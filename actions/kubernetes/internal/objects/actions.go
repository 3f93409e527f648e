// Package objects has the actions on objects of any kind: patches of those that
// the connection allows, jobs, snapshots of volumes, and what there is to know of
// an object.
package objects

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// Actions lists them.
func Actions(env cluster.Env) []actions.Action {
	s := system{env}
	return []actions.Action{
		s.describeAction(),
		s.patchAction(),
		s.runJobAction(),
		s.snapshotAction(),
	}
}

type system struct{ cluster.Env }
