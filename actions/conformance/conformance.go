// Package conformance holds each action to the contract of package actions,
// against the real system. The engine relies on what is checked here: it
// repeats, dry-runs, cancels and undoes actions without knowing any of them.
package conformance

import (
	"testing"

	"github.com/runbook-engine/runbook/actions"
)

// Case is one action and the real system that it is tried on.
type Case struct {
	// System is the list of actions of the package; Action is the one to try.
	System func(*actions.Connections) actions.System
	Action string

	// Connections is the `connections` part of a config, YAML, that reaches a
	// system of this kind at an address, and Address where the real one is. The
	// suite also gives addresses where nobody listens and where nobody answers.
	// Without an Address it leaves those out; without Connections there are none.
	Connections func(address string) string
	Address     string
	// Secrets are what the files hold that Connections names. None may show in
	// an error or a result.
	Secrets []string

	// Params, YAML, make the action do something, once Arrange has run. Nothing
	// are parameters that select no target: for an action that selects. Slow are
	// parameters with which Run takes a minute or more: for an action that can.
	Params, Nothing, Slow string

	// Arrange brings the system into the state that Params are for. It runs
	// before each check. State is what the action could change, as a client sees
	// it that shares no code with the action; an action that writes needs it.
	Arrange func(t *testing.T)
	State   func(t *testing.T) string

	// Measured are the fields of the result that each call measures anew. The
	// others must be the same when Run is repeated.
	Measured []string
}

// Run tries the action. Each promise of the contract is a subtest.
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
	of   func(Case) bool // whether this action makes it
	kept func(*trial) error
}

var promises = []promise{
	{"is declared whole", always, declared},
	{"says that its connection is missing", connects, withoutConnection},
	{"Targets only reads", always, targetsOnlyRead},
	{"selects nothing", selects, selectsNothing},
	{"Accepts changes nothing", asks, acceptsChangesNothing},
	{"refuses a target it never gave", selects, foreignTarget},
	{"repeated changes nothing", always, repeated},
	{"Undo restores", undoes, undoRestores},
	{"Undo of what never happened changes nothing", undoes, undoOfNothing},
	{"does nothing when cancelled before", always, cancelledBefore},
	{"stops when cancelled", slow, cancelledDuring},
	{"says that the system can not be reached", addressed, unreachable},
	{"gives up when the system does not answer", addressed, unanswered},
}

func always(Case) bool      { return true }
func connects(c Case) bool  { return c.Connections != nil }
func addressed(c Case) bool { return c.Address != "" }
func slow(c Case) bool      { return c.Slow != "" }
func selects(c Case) bool   { return c.action(nil).Selects }
func asks(c Case) bool      { return c.action(nil).Asks() }
func undoes(c Case) bool    { return c.action(nil).Undoes() }

// action panics when the case is malformed: no system can be tried then.
func (c Case) action(all *actions.Connections) actions.Action {
	for _, a := range c.System(all).Actions {
		if a.Name == c.Action {
			return a
		}
	}
	panic("conformance: the system has no action " + c.Action)
}
