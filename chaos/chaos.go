// Package chaos is the contract of the faults that game days inject: a fault is
// one value, declared once, from which everything else is read. It knows no
// injector, no workflow and no document.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Def declares a fault with parameters P, a tagged struct as package shape reads
// it.
type Def[P any] struct {
	Name    string // injector.what_it_does
	Doc     string
	Example string // parameters as they stand under `with`, YAML

	// Targets is what would be touched. It only reads.
	Targets func(ctx context.Context, p P) (Selection, error)

	// Allowed asks whether the connection has the rights to bring the fault about, to
	// end it and to read that back; its error says which one is missing. It only
	// reads. It is nil where rights can not be asked about, or none are needed.
	Allowed func(ctx context.Context, p P) error

	// Inject brings the fault about. It adopts an injection with the same id that
	// is there already, or was: what others have ended of it stays ended. The
	// injector must end the fault by itself at the deadline, whatever becomes of
	// the caller. The engine calls it for one id at a time, and cancels its context
	// before it calls Recover.
	Inject func(ctx context.Context, id ID, p P, deadline time.Time) error

	// Recover ends the fault. It tolerates an injection that never happened and
	// one that has ended. It is nil exactly when OneShot is set.
	Recover func(ctx context.Context, id ID, p P) error

	// Healed reads back from the system that nothing of the fault is left; its
	// error says what is, or that it could not be asked: ErrHolderSilent. It is nil
	// exactly when OneShot is set.
	Healed func(ctx context.Context, id ID, p P) error

	// OneShot marks a fault that is over once it happened, such as a kill.
	OneShot bool

	// Yields marks a fault that others can end by what they do to the system, as a
	// session that is killed. One that does not and is gone before its time was
	// lost, and a drill of it shows nothing.
	Yields bool
}

// ErrHolderSilent is part of what Healed says when that which holds a fault in
// its memory does not answer. It may have ended, and the fault with it.
var ErrHolderSilent = errors.New("what holds the fault does not answer")

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*\.[a-z][a-z0-9_]*$`)

// Define erases the type of a declaration. It panics when the declaration is
// malformed: a mistake that the first test to load the package finds.
func Define[P any](d Def[P]) Fault {
	f := Fault{
		Name: d.Name, Doc: d.Doc, Example: d.Example, OneShot: d.OneShot, Yields: d.Yields, Params: shape.For[P](), decode: document.DecodeAs[P],
		flights: newFlights(),
		targets: func(ctx context.Context, p any) (Selection, error) { return d.Targets(ctx, p.(P)) },
		inject: func(ctx context.Context, id ID, p any, deadline time.Time) error {
			return d.Inject(ctx, id, p.(P), deadline)
		},
		recover: func(ctx context.Context, id ID, p any) error { return d.Recover(ctx, id, p.(P)) },
		healed:  func(ctx context.Context, id ID, p any) error { return d.Healed(ctx, id, p.(P)) },
	}
	if d.Allowed != nil {
		f.allowed = func(ctx context.Context, p any) error { return d.Allowed(ctx, p.(P)) }
	}
	heals := d.Recover != nil && d.Healed != nil
	_, problems := f.Bind([]byte(d.Example))
	for need, missing := range map[string]bool{
		"a name like injector.what_it_does":                    !nameForm.MatchString(d.Name),
		"a Doc that ends in a full stop":                       !strings.HasSuffix(d.Doc, "."),
		"a Doc for each parameter":                             undocumented(f.Params),
		"Targets and Inject":                                   d.Targets == nil || d.Inject == nil,
		"Recover and Healed exactly when it is not a one-shot": heals == d.OneShot || (d.Recover == nil) != (d.Healed == nil),
		"an Example that decodes":                              len(problems) > 0,
	} {
		if missing {
			panic(fmt.Sprintf("chaos: %q needs %s\n%v", d.Name, need, problems.Err()))
		}
	}
	return f
}

func undocumented(t *shape.Type) bool {
	for _, f := range t.Fields {
		if f.Doc == "" {
			return true
		}
	}
	return false
}
