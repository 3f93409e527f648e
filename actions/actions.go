// Package actions is the contract of what the engine can do to a system: an
// action is one value, declared once, from which everything else is read. It
// knows no system, no workflow and no document.
package actions

import (
	"context"
	"strings"
	"time"
)

// Risk is what an action may do to the system it touches.
type Risk string

// The risks, from harmless to worst.
const (
	ReadOnly    Risk = "read_only"   // a probe: looks, changes nothing
	Reversible  Risk = "reversible"  // has an Undo that restores what was
	Disruptive  Risk = "disruptive"  // interrupts work, loses no data
	Destructive Risk = "destructive" // may lose data or can not be taken back
)

var order = map[Risk]int{ReadOnly: 0, Reversible: 1, Disruptive: 2, Destructive: 3}

// AtLeast reports whether r is as bad as other, or worse.
func (r Risk) AtLeast(other Risk) bool { return order[r] >= order[other] }

// Writes reports whether the action changes anything.
func (r Risk) Writes() bool { return r != ReadOnly }

// Target is one thing that an action touches.
type Target struct {
	// ID names it by kind and place, such as deployment/shop/checkout or
	// backend/orders/4711. Within one system it means one thing only. What follows
	// a ";" is what the action adds for itself, and no part of which target it is.
	ID string `json:"id"`
	// Doc tells a person which one it is: "idle in transaction for 34s".
	Doc string `json:"doc,omitempty"`
	// Unhealthy targets are not among the healthy ones of the population: to act
	// on one takes nothing away.
	Unhealthy bool `json:"unhealthy,omitempty"`
}

// Which is the ID without what the action added for itself: two actions that
// touch one thing agree on it.
func (t Target) Which() string {
	which, _, _ := strings.Cut(t.ID, ";")
	return which
}

// Selection is what an action would touch.
type Selection struct {
	Targets []Target `json:"targets"`
	// Population is how many things of that kind there are, healthy or not: the
	// whole of which Targets is a part. 0 means that it is not known.
	Population int `json:"population,omitempty"`
	// Name is that of the population, the same in every selection from it: runs
	// that are at work on one population keep to their limits together. Without it,
	// what the ID of a target says before the last slash.
	Name string `json:"name,omitempty"`
	// Members are the IDs of the whole population, where another one may have some
	// of the same targets, as with two selectors: so that runs that choose from both
	// keep to the limits of both.
	Members []string `json:"-"`
	// Healthy is how many of the population are healthy; nil when it is not known.
	Healthy *int `json:"healthy,omitempty"`
}

// Key identifies one effect: one step of one run on one target. It is the same
// on each retry, so that an action can recognise its own earlier attempt.
type Key string

// Def declares an action with parameters P and result R, both tagged structs as
// package shape reads them.
type Def[P, R any] struct {
	Name    string // system.verb_object; a bare verb where there is no system
	Doc     string // what it does, in one or more sentences
	Risk    Risk
	Example string // parameters as they stand under `with`, YAML

	// Targets selects what would be touched. It only reads. An action without
	// it always has exactly one target, which Target names.
	Targets func(ctx context.Context, p P) (Selection, error)
	Target  func(p P) string

	// Accepts asks the system whether it would let Run act on a target now, with
	// access rules and whatever else it checks, and changes nothing. A dry run
	// tells what it says. It is for actions that change something, on systems
	// that can be asked.
	Accepts func(ctx context.Context, target Target, p P) error

	// Run acts on one target. A second call with the same key must change
	// nothing and give the same answer, unless Once says otherwise.
	Run func(ctx context.Context, key Key, target Target, p P) (R, error)

	// Undo restores what Run with this key changed. It is present exactly when
	// Risk is Reversible, and tolerates a Run that never happened.
	Undo func(ctx context.Context, key Key, target Target, p P) error

	// Once reports that a repeated Run with these parameters would act twice. The
	// engine then never repeats it: a lost answer is reported as unknown.
	Once func(p P) bool

	// Idle marks an action that only passes time: a dry run leaves it out.
	Idle bool

	// Parallel is how many targets may be worked on at a time; 0 means one.
	Parallel int
	// Timeout bounds one Run; 0 means a minute. Limit, where set, gives the
	// bound for these parameters instead.
	Timeout time.Duration
	Limit   func(p P) time.Duration
}

// Nothing is the parameter or result type of an action that has none.
type Nothing struct{}
