// Package conformance holds each fault to the contract of package chaos, against
// the real system. The engine relies on what is checked here: it repeats,
// cancels, heals and sweeps faults without knowing any of them.
package conformance

import (
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// Case is one fault and the real system that it is tried on.
type Case struct {
	// Injector is the list of faults of the package; Fault is the one to try.
	Injector func(*actions.Connections) chaos.Injector
	Fault    string

	// Connections is the `connections` part of a config, YAML, that reaches the
	// system. Kind is that of the actions, where the injector has none of its own.
	Connections string
	Kind        *actions.ConnectionKind
	// Secrets are what the files hold that Connections names. None may show in
	// an error or a target.
	Secrets []string

	// Params, YAML, are those of the fault.
	Params string
	// Soon is a deadline that the system can keep: 2s unless set. One that takes
	// long to bring a fault about needs more.
	Soon time.Duration
	// Patience is how long a check waits for what the system does in its own
	// time: 30s unless set.
	Patience time.Duration

	// Arrange brings the system into the state before the fault. It runs before
	// each check.
	Arrange func(t *testing.T)
	// State is what the fault could change, as a client sees it that shares no
	// code with the fault.
	State func(t *testing.T) string
	// Suffers is the data path: what its user sees of the fault, nil when all is
	// well. It shares no code with the fault either.
	Suffers func(t *testing.T) error
}

// Run tries the fault. Each promise of the contract is a subtest.
func Run(t *testing.T, c Case) {
	t.Helper()
	for _, p := range promises {
		if p.of(c) {
			t.Run(p.name, func(t *testing.T) {
				if err := c.try(t, p); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

type promise struct {
	name string
	of   func(Case) bool // whether this fault makes it
	kept func(*trial) error
}

var promises = []promise{
	{"is declared whole", always, declared},
	{"says that its connection is missing", always, withoutConnection},
	{"Targets only reads", always, targetsOnlyRead},
	{"does nothing when cancelled before", always, cancelledBefore},
	{"does nothing after its deadline", always, afterDeadline},
	{"repeated adopts", always, repeatedAdopts},
	{"Recover of what never happened changes nothing", heals, recoverOfNothing},
	{"takes effect and heals, and Healed tells them apart", heals, healsProvably},
	{"ends by itself at its deadline", heals, endsByItself},
	{"is found and healed by an engine that knows nothing", heals, isSwept},
	{"leaves a trace to nobody", oneShot, leavesNothing},
}

func always(Case) bool    { return true }
func heals(c Case) bool   { return !oneShot(c) }
func oneShot(c Case) bool { return c.fault(nil).OneShot }

// fault panics when the case is malformed: no system can be tried then.
func (c Case) fault(all *actions.Connections) chaos.Fault {
	for _, f := range c.Injector(all).Faults {
		if f.Name == c.Fault {
			return f
		}
	}
	panic("conformance: the injector has no fault " + c.Fault)
}
