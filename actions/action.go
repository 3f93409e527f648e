package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Action is a Def with its types erased: what catalogues hold and the engine
// calls. Parameters and results cross as JSON.
type Action struct {
	Name     string
	Doc      string
	Risk     Risk
	Example  string
	Params   *shape.Type
	Result   *shape.Type
	Parallel int

	// Idle marks an action that only passes time.
	Idle bool

	// Selects reports that the action chooses among many targets.
	Selects bool

	decode  func(n *document.Node) (any, diag.List)
	target  func(p any) string
	targets func(ctx context.Context, p any) (Selection, error)
	run     func(ctx context.Context, key Key, target Target, p any) (any, error)
	undo    func(ctx context.Context, key Key, target Target, p any) error
	accepts func(ctx context.Context, target Target, p any) error
	once    func(p any) bool
	limit   func(p any) time.Duration
}

const defaultTimeout = time.Minute

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z][a-z0-9_]*)?$`)

// Define erases the types of a declaration. It panics when the declaration is
// malformed: a mistake that the first test to load the package finds.
func Define[P, R any](d Def[P, R]) Action {
	a := Action{
		Name: d.Name, Doc: d.Doc, Risk: d.Risk, Example: d.Example,
		Params: shape.For[P](), Result: shape.For[R](),
		Parallel: max(1, d.Parallel),
		Idle:     d.Idle,
		Selects:  d.Targets != nil,
		decode:   document.DecodeAs[P],
		run: func(ctx context.Context, key Key, target Target, p any) (any, error) {
			return d.Run(ctx, key, target, p.(P))
		},
		limit: func(p any) time.Duration { return timeout(d, p.(P)) },
		once:  func(p any) bool { return d.Once != nil && d.Once(p.(P)) },
	}
	if d.Targets != nil {
		a.targets = func(ctx context.Context, p any) (Selection, error) { return d.Targets(ctx, p.(P)) }
	}
	if d.Target != nil {
		a.target = func(p any) string { return d.Target(p.(P)) }
	}
	if d.Accepts != nil {
		a.accepts = func(ctx context.Context, target Target, p any) error { return d.Accepts(ctx, target, p.(P)) }
	}
	if d.Undo != nil {
		a.undo = func(ctx context.Context, key Key, target Target, p any) error {
			return d.Undo(ctx, key, target, p.(P))
		}
	}
	a.mustBeWhole()
	return a
}

func timeout[P, R any](d Def[P, R], p P) time.Duration {
	switch {
	case d.Limit != nil:
		return d.Limit(p)
	case d.Timeout > 0:
		return d.Timeout
	default:
		return defaultTimeout
	}
}

func (a Action) mustBeWhole() {
	_, known := order[a.Risk]
	_, problems := a.Bind([]byte(a.Example))
	for mistake, found := range map[string]bool{
		"a name like system.verb_object, or one word": !nameForm.MatchString(a.Name),
		"a Doc that ends in a full stop":              !strings.HasSuffix(a.Doc, "."),
		"a known Risk":                                !known,
		"either Targets or Target":                    (a.targets == nil) == (a.target == nil),
		"an Undo exactly when it is reversible":       (a.undo != nil) != (a.Risk == Reversible),
		"no Accepts when it changes nothing":          a.accepts != nil && !a.Risk.Writes(),
		"parameters that are a struct":                a.Params.Kind != shape.Struct,
		"a result that is a struct":                   a.Result.Kind != shape.Struct,
		"an Example that decodes":                     len(problems) > 0,
		"a Doc for each parameter and each result":    undocumented(a.Params) || undocumented(a.Result),
	} {
		if found {
			panic(fmt.Sprintf("actions: %q needs %s\n%v", a.Name, mistake, problems.Err()))
		}
	}
}

func undocumented(t *shape.Type) bool {
	for _, f := range t.Fields {
		if f.Doc == "" {
			return true
		}
	}
	return false
}

// System is the first part of the name; of a bare name, all of it.
func (a Action) System() string {
	system, _, _ := strings.Cut(a.Name, ".")
	return system
}

// Undoes reports whether the action can be taken back.
func (a Action) Undoes() bool { return a.undo != nil }

// Asks reports whether a dry run can ask the system if it would accept Run.
func (a Action) Asks() bool { return a.accepts != nil }

// Bound is an action with its parameters decoded and checked.
type Bound struct {
	Action
	params any
}

// Bind decodes parameters from YAML or JSON.
func (a Action) Bind(params []byte) (Bound, diag.List) {
	n, problems := document.ParseMapping(a.Name, params)
	if len(problems) > 0 {
		return Bound{}, problems
	}
	return a.BindNode(n)
}

// BindNode decodes parameters that were parsed already.
func (a Action) BindNode(n *document.Node) (Bound, diag.List) {
	p, problems := a.decode(n)
	return Bound{Action: a, params: p}, problems
}

// JSON is the parameters, with defaults filled in.
func (b Bound) JSON() (json.RawMessage, error) { return json.Marshal(b.params) }

// Once reports that Run must not be repeated.
func (b Bound) Once() bool { return b.once(b.params) }

// Limit is how long one Run may take.
func (b Bound) Limit() time.Duration { return b.limit(b.params) }

// OnlyTarget is the target of an action that does not select, else nil.
func (b Bound) OnlyTarget() *Target {
	if b.target == nil {
		return nil
	}
	return &Target{ID: b.target(b.params)}
}

// Targets is what would be touched.
func (b Bound) Targets(ctx context.Context) (Selection, error) {
	if b.targets == nil {
		return Selection{Targets: []Target{{ID: b.target(b.params)}}, Population: 1}, nil
	}
	return b.targets(ctx, b.params)
}

// Run acts on one target and gives the result as JSON.
func (b Bound) Run(ctx context.Context, key Key, target Target) (json.RawMessage, error) {
	result, err := b.run(ctx, key, target, b.params)
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// Undo takes back what Run with the same key did.
func (b Bound) Undo(ctx context.Context, key Key, target Target) error {
	if b.undo == nil {
		return Permanent(fmt.Errorf("%s can not be undone", b.Name))
	}
	return b.undo(ctx, key, target, b.params)
}

// Accepts is nil when the system would let Run act on the target now, or can not
// be asked.
func (b Bound) Accepts(ctx context.Context, target Target) error {
	if b.accepts == nil {
		return nil
	}
	return b.accepts(ctx, target, b.params)
}
