package expression

import (
	"reflect"

	"github.com/expr-lang/expr/ast"
)

// harden puts our own functions where expr would answer a question that has no
// answer, and reports whether there was any such place. The types of the nodes
// must be known.
func harden(node *ast.Node) bool {
	h := &hardener{}
	ast.Walk(node, h)
	return h.changed
}

type hardener struct{ changed bool }

// Visit comes to the leaves first.
func (h *hardener) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BuiltinNode:
		if _, ours := own[n.Name+"()"]; ours {
			h.call(node, n.Name+"()", n.Arguments...)
		}
	case *ast.BinaryNode:
		h.binary(n)
	}
}

func (h *hardener) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "/", "%":
		h.call(&n.Right, "divisor()", n.Right)
	case "==", "!=":
		if !isNil(n.Left) && !isNil(n.Right) {
			h.mustBeKnown(&n.Left)
			h.mustBeKnown(&n.Right)
		}
	case "in":
		h.mustBeKnown(&n.Left)
	}
}

func isNil(n ast.Node) bool {
	_, is := n.(*ast.NilNode)
	return is
}

// mustBeKnown makes the absence of a value whose type is declared a failure. A
// value of unknown type, out of some JSON, may be nothing.
func (h *hardener) mustBeKnown(node *ast.Node) {
	switch (*node).(type) {
	case *ast.IdentifierNode, *ast.MemberNode:
		if t := (*node).Type(); t != nil && t.Kind() != reflect.Interface {
			h.call(node, "known()", *node)
		}
	}
}

func (h *hardener) call(node *ast.Node, name string, args ...ast.Node) {
	callee := &ast.IdentifierNode{Value: name}
	call := &ast.CallNode{Callee: callee, Arguments: args}
	callee.SetLocation((*node).Location())
	call.SetLocation((*node).Location())
	*node = call
	h.changed = true
}
