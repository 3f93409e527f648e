package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// restrict refuses what expr has and the language has not.
func (s *Syntax) restrict() error {
	r := &restriction{syntax: s}
	ast.Walk(&s.tree.Node, r)
	if d := newDepths(s.tree); r.err == nil && d.deepest > maxNesting {
		r.refuse(d.at, fmt.Sprintf("the functions over lists nest deeper than %d levels", maxNesting), "")
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// maxNesting bounds the time of an evaluation: a loop in a loop, and no more.
const maxNesting = 2

type restriction struct {
	syntax *Syntax
	err    *Error
}

// refuse keeps the mistake that stands first.
func (r *restriction) refuse(n ast.Node, text, hint string) {
	if at := r.syntax.offset(n); r.err == nil || at < r.err.Offset {
		r.err = &Error{Offset: at, Text: text, Hint: hint}
	}
}

func (r *restriction) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			r.refuse(n, "$env is not part of conditions", "name the value itself")
		}
	case *ast.VariableDeclaratorNode, *ast.SequenceNode:
		r.refuse(n, "let and ; are not part of conditions", "write the value out where it is used")
	case *ast.BinaryNode:
		if n.Operator == "**" || n.Operator == "^" {
			r.refuse(n, n.Operator+" is not part of conditions", "")
		}
	case *ast.BuiltinNode:
		r.function(n, n.Name)
		r.constant(n)
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok {
			r.function(n, callee.Value)
		}
	}
}

func (r *restriction) function(n ast.Node, name string) {
	if slices.Contains(plain, name) || slices.Contains(predicates, name) {
		return
	}
	hint := "functions: " + strings.Join(Functions(), ", ")
	if name == "now" {
		hint = "now is a value: write it without ()"
	}
	r.refuse(n, fmt.Sprintf("there is no function %q", name), hint)
}

// constant finds what will always fail: duration("5 minutes").
func (r *restriction) constant(n *ast.BuiltinNode) {
	if len(n.Arguments) != 1 {
		return
	}
	text, ok := n.Arguments[0].(*ast.StringNode)
	if !ok {
		return
	}
	var err error
	switch n.Name {
	case "duration", "float":
		_, err = guarded(own[n.Name+"()"], text.Value)
	case "int", "date":
		_, err = expr.Eval(n.String(), nil)
	}
	if err != nil {
		r.refuse(text, plainWords(err.Error()), "")
	}
}

func guarded(f func(...any) (any, error), arg any) (v any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return f(arg)
}

// depths is how deep functions over lists nest.
type depths struct {
	of      map[ast.Node]int
	deepest int
	at      ast.Node
}

func newDepths(tree *parser.Tree) *depths {
	d := &depths{of: map[ast.Node]int{}}
	ast.Walk(&tree.Node, d)
	return d
}

// Visit comes to the inner functions first.
func (d *depths) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BuiltinNode)
	if !ok || !slices.Contains(predicates, n.Name) {
		return
	}
	inner := &deepestOf{of: d.of}
	for i := range n.Arguments {
		if _, body := n.Arguments[i].(*ast.PredicateNode); body {
			ast.Walk(&n.Arguments[i], inner)
		}
	}
	d.of[n] = inner.depth + 1
	if d.of[n] > d.deepest {
		d.deepest, d.at = d.of[n], n
	}
}

type deepestOf struct {
	of    map[ast.Node]int
	depth int
}

// Visit looks up what the outer walk has found already.
func (d *deepestOf) Visit(node *ast.Node) { d.depth = max(d.depth, d.of[*node]) }
