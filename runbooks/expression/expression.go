// Package expression is the condition language of documents: expr, with typed
// environments, a small choice of its functions, bounded in memory and free of
// clocks. What can not be answered is an error, and never true. Nothing in it
// may run in workflow code: expr walks maps in random order.
package expression

import (
	"errors"
	"fmt"
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/optimizer"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
)

const (
	maxLength = 4096 // bytes of one expression
	maxNodes  = 1000
	// memoryBudget is how many elements one evaluation may make.
	memoryBudget = 100_000
)

// Env is the names that an expression may use, with their types.
type Env = types.Map

// Error is a mistake in an expression. Offset is the byte where it is.
type Error struct {
	Offset int
	Text   string
	Hint   string
}

func (e *Error) Error() string { return e.Text }

// Program is a compiled expression. It is safe for concurrent use.
type Program struct {
	source  string
	program *vm.Program
	result  reflect.Type
}

// Names is an environment that expressions are checked against. It is not safe
// for concurrent use.
type Names struct {
	env    Env
	config *conf.Config
}

// NewNames prepares an environment, which costs more than to check one
// expression.
func NewNames(env Env) *Names {
	n := &Names{env: env, config: &conf.Config{
		Optimize: true, ShortCircuit: true, MaxNodes: maxNodes, ExpectAny: true, Builtins: grammar.Builtins, Functions: functions,
	}}
	n.config.WithEnv(env)
	return n
}

// Bool compiles a condition.
func Bool(source string, env Env) (*Program, error) { return compile(source, env, reflect.Bool) }

// Any compiles an expression of whatever type.
func Any(source string, env Env) (*Program, error) { return compile(source, env, reflect.Invalid) }

// Check finds what is wrong with an expression and gives the type of its result,
// an interface when it is not known.
func (s *Syntax) Check(names *Names) (reflect.Type, error) { return s.check(names, reflect.Invalid) }

// CheckBool is Check for a condition.
func (s *Syntax) CheckBool(names *Names) error {
	_, err := s.check(names, reflect.Bool)
	return err
}

func (s *Syntax) check(names *Names, want reflect.Kind) (t reflect.Type, err error) {
	defer recovered(&err)
	if err := s.closed(names.env); err != nil {
		return nil, err
	}
	names.config.Expect = want
	t, err = checker.Check(s.tree, names.config)
	if err != nil {
		return nil, s.explain(err, names.env)
	}
	return t, nil
}

// recovered makes an error of a panic: the compiler reads other people's text,
// and its bugs are not our crash.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = &Error{Text: oneLine(fmt.Sprintf("the expression can not be compiled: %v", r))}
	}
}

func compile(source string, env Env, want reflect.Kind) (p *Program, err error) {
	defer recovered(&err)
	s, err := Parse(source)
	if err != nil {
		return nil, err
	}
	names := NewNames(env)
	result, err := s.check(names, want)
	if err != nil {
		return nil, err
	}
	names.config.Expect = reflect.Invalid // expr would make false of nothing
	// What must fail rather than answer is put in when the types are known to be
	// right, so that messages are about what was written.
	if harden(&s.tree.Node) {
		if _, err := checker.Check(s.tree, names.config); err != nil {
			return nil, s.explain(err, env)
		}
	}
	if err := optimizer.Optimize(&s.tree.Node, names.config); err != nil {
		return nil, s.explain(err, env)
	}
	program, err := compiler.Compile(s.tree, names.config)
	if err != nil {
		return nil, s.explain(err, env)
	}
	return &Program{source: source, program: program, result: result}, nil
}

// closed refuses a name whose fields are known without one of them: steps alone,
// or steps[x], could name a step that has not run.
func (s *Syntax) closed(env Env) error {
	for _, ref := range s.References {
		fields, isMap := env[ref.Path[0]].(types.Map)
		if _, open := fields[types.Extra]; isMap && !open && len(ref.Path) == 1 {
			return &Error{
				Offset: ref.Offset,
				Text:   fmt.Sprintf("%s is no value by itself", ref.Path[0]),
				Hint:   fmt.Sprintf("name what you want of it: %s.NAME", ref.Path[0]),
			}
		}
	}
	return nil
}

// Type is the static type of the result; an interface when it is not known.
func (p *Program) Type() reflect.Type { return p.result }

// Eval runs the program. A failure means that the question has no answer.
func (p *Program) Eval(values map[string]any) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			result, err = nil, fmt.Errorf("evaluate %q: %s", p.source, oneLine(fmt.Sprint(r)))
		}
	}()
	machine := vm.VM{MemoryBudget: memoryBudget}
	result, err = machine.Run(p.program, values)
	if err != nil {
		text := err.Error()
		if at := (*file.Error)(nil); errors.As(err, &at) {
			text = at.Message
		}
		return nil, fmt.Errorf("evaluate %q: %s", p.source, plainWords(text))
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
		return false, fmt.Errorf("evaluate %q: %w", p.source, notBool(result))
	}
	return b, nil
}

func notBool(result any) error {
	if result == nil {
		return errors.New("there is no value")
	}
	return fmt.Errorf("the answer is %s, not true or false", TypeName(reflect.TypeOf(result)))
}

// Constant is the answer of an expression that asks about nothing, or that
// needs not to: false and anything.
func (s *Syntax) Constant() (answer, constant bool) {
	if answer, constant := shortCircuit(s.tree.Node); constant {
		return answer, true
	}
	if len(s.References) > 0 {
		return false, false
	}
	program, err := Bool(s.source, Env{})
	if err != nil {
		return false, false
	}
	answer, err = program.True(nil)
	return answer, err == nil
}

func shortCircuit(node ast.Node) (answer, constant bool) {
	switch n := node.(type) {
	case *ast.BoolNode:
		return n.Value, true
	case *ast.UnaryNode:
		answer, constant = shortCircuit(n.Node)
		return !answer, constant && (n.Operator == "!" || n.Operator == "not")
	case *ast.BinaryNode:
		left, leftKnown := shortCircuit(n.Left)
		right, rightKnown := shortCircuit(n.Right)
		switch n.Operator {
		case "&&", "and":
			return left && right, leftKnown && rightKnown || leftKnown && !left || rightKnown && !right
		case "||", "or":
			return left || right, leftKnown && rightKnown || leftKnown && left || rightKnown && right
		}
	}
	return false, false
}
