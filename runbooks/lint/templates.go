package lint

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

// Values checks the ${…} in a tree of values that reach an action, and returns
// the places of the values that hold any. The shape, when it is known, is what
// is wanted at the node.
func (s *Scope) Values(n *document.Node, want *shape.Type) (holes []diag.Place) {
	switch n.Kind {
	case document.String:
		if s.value(n, want) {
			holes = append(holes, n.At)
		}
	case document.List:
		for _, item := range n.Items {
			holes = append(holes, s.Values(item, elem(want))...)
		}
	case document.Map:
		for _, e := range n.Entries {
			if strings.Contains(e.Key, "${") {
				s.add(e.At, "template", "a key is taken as it is written; ${…} has no effect in it", "")
			}
			holes = append(holes, s.Values(e.Value, member(want, e.Key))...)
		}
	}
	return holes
}

func elem(t *shape.Type) *shape.Type {
	if t == nil || t.Kind != shape.List {
		return nil
	}
	return t.Elem
}

func member(t *shape.Type, key string) *shape.Type {
	switch {
	case t == nil:
		return nil
	case t.Kind == shape.Map:
		return t.Elem
	case t.Kind == shape.Struct:
		if f, known := t.Field(key); known {
			return f.Type
		}
	}
	return nil
}

// Text checks a text for people, which may name anything.
func (s *Scope) Text(n *document.Node) {
	if n == nil || n.Kind != document.String {
		return
	}
	for _, h := range s.holes(n).Holes() {
		s.check(n, h)
	}
}

// holes reads a string. One that can not be read to its end has those before.
func (s *Scope) holes(n *document.Node) expression.Template {
	t, err := expression.ParseTemplate(n.Text)
	if err != nil {
		s.useAll(n.Text)
		s.refusedTemplate(n, err)
	}
	return t
}

func (s *Scope) refusedTemplate(n *document.Node, err error) {
	offset := 0
	if at, ok := err.(*expression.Error); ok {
		offset = at.Offset
	}
	s.add(n.PlaceOf(offset), "template", err.Error(), "write $${ for a literal ${")
}

// check gives the type of an expression; nil when it is wrong.
func (s *Scope) check(n *document.Node, h expression.Hole) reflect.Type {
	syntax := s.read(n, h.Source, h.Offset)
	if syntax == nil {
		return nil
	}
	t, err := syntax.Check(s.names())
	if err != nil {
		s.refused(n, h.Offset, err)
		return nil
	}
	return t
}

// value checks a string that reaches an action, and reports whether it is more
// than what is written.
func (s *Scope) value(n *document.Node, want *shape.Type) bool {
	before := len(*s.Problems)
	t := s.holes(n)
	for _, h := range t.Holes() {
		s.hole(n, h, want, t.Whole())
	}
	return len(t.Holes()) > 0 || len(*s.Problems) > before
}

func (s *Scope) hole(n *document.Node, h expression.Hole, want *shape.Type, whole bool) {
	if at, names := namesAlert(h); names {
		s.useAll(h.Source)
		s.add(n.PlaceOf(at), "alert-in-with", "what an alert says must not be used here unchecked",
			"declare a parameter with from: alert.labels.NAME, and use ${params.…}")
		return
	}
	got := s.check(n, h)
	if got == nil || want == nil {
		return
	}
	switch {
	case !whole && !slices.Contains([]shape.Kind{shape.String, shape.Any, shape.Duration, shape.Time}, want.Kind):
		s.add(n.At, "wrong-type", fmt.Sprintf("one value of type %s is wanted here, not a text with ${…} in it", want), "write one ${…} and nothing around it")
	case whole && !expression.Fits(got, want):
		s.add(n.PlaceOf(h.Offset), "wrong-type",
			fmt.Sprintf("${%s} is of type %s; type %s is wanted here", document.Shorten(h.Source, 60), expression.TypeName(got), want),
			conversion(got, want))
	}
}

func namesAlert(h expression.Hole) (offset int, names bool) {
	for _, ref := range expression.References(h.Source) {
		if ref.Path[0] == "alert" {
			return h.Offset + ref.Offset, true
		}
	}
	return 0, false
}

func conversion(from reflect.Type, want *shape.Type) string {
	text := from.Kind() == reflect.String
	number := from == reflect.TypeFor[int]() || from == reflect.TypeFor[float64]()
	switch {
	case want.Kind == shape.String:
		return "write string(…)"
	case want.Kind == shape.Int && (text || number):
		return "write int(…)"
	case want.Kind == shape.Float && text:
		return "write float(…)"
	default:
		return ""
	}
}
