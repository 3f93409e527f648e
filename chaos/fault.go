package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Fault is a Def with its type erased: what catalogues hold and the engine
// calls. Parameters cross as JSON.
type Fault struct {
	Name    string
	Doc     string
	Example string
	Params  *shape.Type
	OneShot bool
	Yields  bool

	flights *flights
	decode  func(n *document.Node) (any, diag.List)
	targets func(ctx context.Context, p any) (Selection, error)
	allowed func(ctx context.Context, p any) error
	inject  func(ctx context.Context, id ID, p any, deadline time.Time) error
	recover func(ctx context.Context, id ID, p any) error
	healed  func(ctx context.Context, id ID, p any) error
}

// Injector is the first part of the name.
func (f Fault) Injector() string {
	injector, _, _ := strings.Cut(f.Name, ".")
	return injector
}

// Bound is a fault with its parameters decoded and checked.
type Bound struct {
	Fault
	params any
}

// Bind decodes parameters from YAML or JSON.
func (f Fault) Bind(params []byte) (Bound, diag.List) {
	n, problems := document.ParseMapping(f.Name, params)
	if len(problems) > 0 {
		return Bound{}, problems
	}
	return f.BindNode(n)
}

// BindNode decodes parameters that were parsed already.
func (f Fault) BindNode(n *document.Node) (Bound, diag.List) {
	p, problems := f.decode(n)
	return Bound{Fault: f, params: p}, problems
}

// JSON is the parameters, with defaults filled in.
func (b Bound) JSON() (json.RawMessage, error) { return json.Marshal(b.params) }

// Targets is what would be touched.
func (b Bound) Targets(ctx context.Context) (Selection, error) {
	return b.targets(ctx, b.params)
}

// Allowed is an error when a right is missing that the fault or its end needs;
// asked is false where that is no question.
func (b Bound) Allowed(ctx context.Context) (asked bool, err error) {
	if b.allowed == nil {
		return false, nil
	}
	return true, b.allowed(ctx, b.params)
}

// Inject brings the fault about, until the deadline at the latest. It refuses a
// deadline that has passed, for nothing would end the fault, and an injection
// that was recovered already.
func (b Bound) Inject(ctx context.Context, id ID, deadline time.Time) error {
	if err := id.check(); err != nil {
		return actions.Permanent(fmt.Errorf("inject %s: %w", b.Name, err))
	}
	if !time.Now().Before(deadline) {
		return actions.Permanent(fmt.Errorf("inject %s as %s: its deadline %s has passed; nothing was injected",
			b.Name, id, deadline.UTC().Format(time.RFC3339)))
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("inject %s as %s: %w", b.Name, id, err)
	}
	return b.flights.inject(ctx, id, func(ctx context.Context) error {
		return b.inject(ctx, id, b.params, deadline)
	})
}

// Recover ends the fault. For a one-shot there is nothing to end.
func (b Bound) Recover(ctx context.Context, id ID) error {
	if b.OneShot {
		return nil
	}
	b.flights.end(ctx, id)
	return b.recover(ctx, id, b.params)
}

// Healed is nil when the system shows nothing of the fault.
func (b Bound) Healed(ctx context.Context, id ID) error {
	if b.OneShot {
		return nil
	}
	return b.healed(ctx, id, b.params)
}
