// Package expression is the condition language of documents: expr, with typed
// environments, bounded in memory and free of clocks. Nothing in it may run in
// workflow code: expr walks maps in random order.
package expression

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

const (
	maxLength    = 4096 // bytes of one expression
	maxNodes     = 1000
	memoryBudget = 100_000
)

// Env is the names that an expression may use, with their types.
type Env = types.Map

// Error is a mistake in an expression. Offset is the byte where it is.
type Error struct {
	Offset int
	Text   string
}

func (e *Error) Error() string { return e.Text }

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source  string
	program *vm.Program
}

// Bool compiles a condition.
func Bool(source string, env Env) (*Program, error) {
	return compile(source, env, expr.AsBool())
}

// Any compiles an expression of whatever type.
func Any(source string, env Env) (*Program, error) {
	return compile(source, env)
}

func compile(source string, env Env, extra ...expr.Option) (p *Program, err error) {
	if len(source) > maxLength {
		return nil, &Error{Text: fmt.Sprintf("the expression has %d bytes; the limit is %d", len(source), maxLength)}
	}
	if !utf8.ValidString(source) {
		return nil, &Error{Text: "the expression is not valid UTF-8"}
	}
	defer func() {
		// The compiler reads other people's text; its bugs are not our crash.
		if r := recover(); r != nil {
			p, err = nil, &Error{Text: fmt.Sprintf("the expression can not be compiled: %v", r)}
		}
	}()
	options := append([]expr.Option{expr.Env(env), expr.DisableBuiltin("now"), expr.MaxNodes(maxNodes)}, extra...)
	program, err := expr.Compile(source, options...)
	if err != nil {
		return nil, placed(source, err)
	}
	return &Program{source: source, program: program}, nil
}

func placed(source string, err error) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return &Error{Text: err.Error()}
	}
	return &Error{Offset: byteOffset(source, at.From), Text: at.Message}
}

func byteOffset(source string, runes int) int {
	n := 0
	for i := range source {
		if n == runes {
			return i
		}
		n++
	}
	return len(source)
}

// Type is the static type of the result; nil when it is not known.
func (p *Program) Type() reflect.Type { return p.program.Node().Type() }

// machines are reused: a fresh one costs more than a condition.
var machines = sync.Pool{New: func() any { return &vm.VM{MemoryBudget: memoryBudget} }}

// Eval runs the program. A failure means that the question has no answer.
func (p *Program) Eval(values map[string]any) (result any, err error) {
	machine := machines.Get().(*vm.VM)
	defer machines.Put(machine)
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, fmt.Errorf("evaluate %q: %v", p.source, r)
		}
	}()
	result, err = machine.Run(p.program, values)
	if err != nil {
		var at *file.Error
		if errors.As(err, &at) {
			return nil, fmt.Errorf("evaluate %q: %s", p.source, at.Message)
		}
		return nil, fmt.Errorf("evaluate %q: %w", p.source, err)
	}
	return result, nil
}

// True runs a condition.
func (p *Program) True(values map[string]any) (bool, error) {
	result, err := p.Eval(values)
	if err != nil {
		return false, err
	}
	b, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("evaluate %q: got %T, not a bool", p.source, result)
	}
	return b, nil
}

// Reference is a use of a name and what follows it: steps.release.outcome.
type Reference struct {
	Path   []string
	Offset int
}

// References lists the member paths that an expression reads. A path ends where
// it is no longer made of constant names. What does not parse reads nothing.
func References(source string) []Reference {
	tree, err := parse(source)
	if err != nil {
		return nil
	}
	c := &collector{source: source}
	ast.Walk(&tree.Node, c)
	return c.found
}

func parse(source string) (tree *parser.Tree, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parse: %v", r)
		}
	}()
	if len(source) > maxLength {
		return nil, errors.New("too long")
	}
	return parser.Parse(source)
}

type collector struct {
	source string
	found  []Reference
}

// Visit keeps every member chain; a longer chain comes after the shorter ones
// that it contains, because the walk is from the leaves up.
func (c *collector) Visit(node *ast.Node) {
	path := memberPath(*node)
	if path == nil {
		return
	}
	c.found = append(c.found, Reference{Path: path, Offset: byteOffset(c.source, (*node).Location().From)})
}

func memberPath(node ast.Node) []string {
	switch n := node.(type) {
	case *ast.ChainNode:
		return memberPath(n.Node)
	case *ast.IdentifierNode:
		return []string{n.Value}
	case *ast.MemberNode:
		base := memberPath(n.Node)
		name, constant := n.Property.(*ast.StringNode)
		if base == nil || !constant {
			return base
		}
		return append(base[:len(base):len(base)], name.Value)
	default:
		return nil
	}
}
