// Package cnpg has the actions on PostgreSQL clusters that CloudNativePG looks
// after. Its operator promotes, fences and lets clients know.
package cnpg

import (
	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// Actions lists them.
func Actions(env cluster.Env) []actions.Action {
	return []actions.Action{system{env}.clusterAction(), system{env}.promoteAction()}
}

type system struct{ cluster.Env }
