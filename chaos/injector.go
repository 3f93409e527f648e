package chaos

import (
	"context"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// Injector is what one package of faults contributes.
type Injector struct {
	Name       string                  // the first part of the names of its faults
	Connection *actions.ConnectionKind // nil when the actions have it, or there is none
	Faults     []Fault

	// Active lists what of ours is in the systems of this injector. It asks the
	// systems, and needs no memory of an earlier call: the engine that injected
	// may be gone. One system that does not answer hides no other: it gives both
	// what it found and an error.
	Active func(ctx context.Context) ([]Injection, error)

	// Heal ends an injection that Active found, and reads back that it has ended.
	Heal func(ctx context.Context, i Injection) error
}

// Injection is one fault that is in a system, as the system itself tells.
type Injection struct {
	ID       ID        `json:"id"`
	Fault    string    `json:"fault"`             // its name; of an unknown kind, what the injector calls it
	Owner    string    `json:"owner,omitempty"`   // of the game day, as Owner gives it
	Place    string    `json:"place,omitempty"`   // where it is, in the injector's words
	Targets  []string  `json:"targets,omitempty"` // ids, where the system tells
	Deadline time.Time `json:"deadline,omitzero"` // zero when the system does not tell: it counts as passed
}

func (i Injection) String() string {
	return fmt.Sprintf("%s as %s in %s", i.Fault, i.ID, i.Place)
}

// Due reports that the injection should have ended by itself.
func (i Injection) Due(now time.Time) bool { return !now.Before(i.Deadline) }
