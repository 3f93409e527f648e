package document

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Unmarshaler is a type that reads more than one form, or that keeps places.
type Unmarshaler interface {
	UnmarshalDocument(n *Node) diag.List
}

// Decode fills the struct that into points to from a mapping, and reports
// everything that does not fit. What did not fit is left at its zero value.
func Decode(n *Node, into any) diag.List {
	v := reflect.ValueOf(into).Elem()
	var d decoder
	d.value(n, v, shape.Of(v.Type()), cmp.Or(n.Title, "the document"))
	return d.problems
}

// DecodeAs is Decode for code that has erased the type.
func DecodeAs[P any](n *Node) (any, diag.List) {
	var p P
	problems := Decode(n, &p)
	return p, problems
}

// ParseMapping reads the parameters of one thing: a document that is a mapping,
// or empty.
func ParseMapping(file string, src []byte) (*Node, diag.List) {
	nodes, problems := Parse(file, src)
	if len(nodes) == 0 || nodes[0].Kind == Null {
		return &Node{Kind: Map}, problems
	}
	return nodes[0], problems
}

type decoder struct{ problems diag.List }

func (d *decoder) value(n *Node, v reflect.Value, t *shape.Type, what string) {
	if u, ok := v.Addr().Interface().(Unmarshaler); ok {
		n.Title = cmp.Or(n.Title, what)
		d.problems = append(d.problems, u.UnmarshalDocument(n)...)
		return
	}
	if v.Kind() == reflect.Pointer {
		if n.Kind == Null {
			return
		}
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), t, what)
		return
	}
	switch t.Kind {
	case shape.Struct:
		d.object(n, v, t, what)
	case shape.List:
		d.list(n, v, t, what)
	case shape.Map:
		d.mapping(n, v, t, what)
	case shape.Any:
		d.any(n, v)
	default:
		d.scalar(n, v, t, what)
	}
}

func (d *decoder) object(n *Node, v reflect.Value, t *shape.Type, what string) {
	if n.Kind != Map {
		d.mismatch(n, what, "a mapping")
		d.problems[len(d.problems)-1].Hint = "its keys: " + strings.Join(t.Names(), ", ")
		return
	}
	for _, e := range n.Entries {
		if _, known := t.Field(e.Key); !known {
			d.problems.Add(e.At, "unknown-key", fmt.Sprintf("unknown key %q in %s", e.Key, what), Suggest(e.Key, t.Names()))
		}
	}
	for _, f := range t.Fields {
		d.field(n, v.FieldByIndex(f.Index), f, what)
	}
}

func (d *decoder) field(n *Node, v reflect.Value, f shape.Field, what string) {
	value := n.Get(f.Name)
	if value == nil || (value.Kind == Null && !f.Required) {
		d.absent(n, v, f, what)
		return
	}
	before := len(d.problems)
	d.value(value, v, f.Type, f.Name)
	if len(d.problems) == before {
		d.problems = append(d.problems, CheckField(value, f)...)
	}
}

func (d *decoder) absent(n *Node, v reflect.Value, f shape.Field, what string) {
	if f.Required {
		d.problems.Add(n.At, "missing-key", fmt.Sprintf("%s needs the key %q", what, f.Name), f.Doc)
		return
	}
	if f.HasDefault {
		d.value(Default(f), v, f.Type, f.Name)
	}
}

// Default is the declared default of a field as a node. It panics when the
// declaration is malformed.
func Default(f shape.Field) *Node {
	if f.Type.Kind == shape.String || f.Type.Kind == shape.Duration {
		return FromValue(f.Default)
	}
	nodes, problems := Parse("default of "+f.Name, []byte(f.Default))
	if err := problems.Err(); err != nil || len(nodes) != 1 {
		panic(fmt.Sprintf("document: default of %q: %v", f.Name, err))
	}
	return nodes[0]
}

func (d *decoder) list(n *Node, v reflect.Value, t *shape.Type, what string) {
	if n.Kind != List {
		d.mismatch(n, what, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items)))
	for i, item := range n.Items {
		d.value(item, v.Index(i), t.Elem, fmt.Sprintf("%s[%d]", what, i))
	}
}

func (d *decoder) mapping(n *Node, v reflect.Value, t *shape.Type, what string) {
	if n.Kind != Map {
		d.mismatch(n, what, "a mapping")
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Entries)))
	for _, e := range n.Entries {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(e.Value, elem, t.Elem, fmt.Sprintf("%s.%s", what, e.Key))
		v.SetMapIndex(reflect.ValueOf(e.Key).Convert(v.Type().Key()), elem)
	}
}

func (d *decoder) any(n *Node, v reflect.Value) {
	value := n.Value()
	if v.Type() == reflect.TypeFor[json.RawMessage]() {
		raw, err := json.Marshal(value)
		if err != nil {
			d.problems.Addf(n.At, "wrong-type", "the value can not be kept: %v", err)
			return
		}
		v.SetBytes(raw)
		return
	}
	if value != nil {
		v.Set(reflect.ValueOf(value))
	}
}

func (d *decoder) scalar(n *Node, v reflect.Value, t *shape.Type, what string) {
	set, err := convert(n, v.Type(), t)
	if err != nil {
		d.mismatch(n, what, err.Error())
		return
	}
	v.Set(set)
}

func (d *decoder) mismatch(n *Node, what, want string) {
	got := n.Kind.article()
	if n.isScalar() {
		got = fmt.Sprintf("the %s %q", n.Kind, Shorten(n.Text, 60))
	}
	hint := ""
	switch {
	case want == aString && n.isScalar():
		hint = fmt.Sprintf("put it in quotes: '%s'", n.Text)
	case want == aDuration && n.Kind == Int:
		hint = fmt.Sprintf("with its unit: %ss, %sm", n.Text, n.Text)
	}
	d.problems.Add(n.At, "wrong-type", fmt.Sprintf("%s must be %s, not %s", what, want, got), hint)
}

const (
	aString   = "a string"
	aDuration = "a duration such as 30s, 5m or 1h30m"
)

func (n *Node) isScalar() bool { return n.Kind != Null && n.Kind != List && n.Kind != Map }

// convert gives the scalar as a Go value; its error is what was wanted.
func convert(n *Node, to reflect.Type, t *shape.Type) (reflect.Value, error) {
	v := reflect.New(to).Elem()
	switch t.Kind {
	case shape.Duration:
		d, err := model.ParseDuration(n.Text)
		if err != nil || (n.Kind != String && n.Text != "0") {
			return v, errors.New(aDuration)
		}
		v.SetInt(int64(d))
	case shape.Time:
		at, err := time.Parse(time.RFC3339Nano, n.Text)
		if err != nil {
			return v, fmt.Errorf("a time such as 2026-01-02T15:04:05Z (RFC 3339)")
		}
		v.Set(reflect.ValueOf(at))
	case shape.String:
		return v, setString(n, v)
	case shape.Int:
		i, ok := n.Scalar.(int64)
		if !ok || v.OverflowInt(i) {
			return v, fmt.Errorf("an integer")
		}
		v.SetInt(i)
	case shape.Float:
		f, ok := float(n.Scalar)
		if !ok {
			return v, fmt.Errorf("a number")
		}
		v.SetFloat(f)
	case shape.Bool:
		b, ok := n.Scalar.(bool)
		if !ok {
			return v, fmt.Errorf("true or false")
		}
		v.SetBool(b)
	}
	return v, nil
}

func setString(n *Node, v reflect.Value) error {
	s, ok := n.Scalar.(string)
	if !ok {
		return errors.New(aString)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(s)); err != nil {
			return fmt.Errorf("valid: %w", err)
		}
		return nil
	}
	v.SetString(s)
	return nil
}

func float(scalar any) (float64, bool) {
	switch n := scalar.(type) {
	case float64:
		return n, true
	case int64:
		return float64(n), true
	}
	return 0, false
}
