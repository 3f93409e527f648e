// Package document reads YAML into Go structs strictly: unknown keys, wrong
// types, values out of bounds and missing keys are all reported, at once, each
// with its place. Runbooks, game days and the engine's config are read by it.
package document

import (
	"math"
	"strconv"

	"github.com/runbook-engine/runbook/internal/diag"
)

// Kind is what a node is.
type Kind int

// The kinds of nodes.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

func (k Kind) String() string {
	return [...]string{"null", "boolean", "integer", "number", "string", "list", "mapping"}[k]
}

// article is the kind as part of a sentence.
func (k Kind) article() string {
	switch k {
	case Null:
		return k.String()
	case Int:
		return "an " + k.String()
	default:
		return "a " + k.String()
	}
}

// Node is a value of a document with its place.
type Node struct {
	Kind    Kind
	At      diag.Place
	Scalar  any    // bool, int64, float64 or string
	Text    string // a scalar as written, unquoted
	Items   []*Node
	Entries []Entry

	// Title is what problems call a mapping that is decoded; "the document" when
	// it has none.
	Title string

	source *source // of a string that was read from a file
	style  style
}

// Entry is one key of a Map.
type Entry struct {
	Key   string
	At    diag.Place
	Value *Node
}

// Get is the value under a key, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// KeyPlace is the place of a key, or of the node itself when it has no such
// key.
func (n *Node) KeyPlace(key string) diag.Place {
	for _, e := range n.Entries {
		if e.Key == key {
			return e.At
		}
	}
	return n.At
}

// Find walks keys (string) and indexes (int). Where the path ends early it
// returns the last node there is, so that its place is always a useful one.
func (n *Node) Find(path ...any) *Node {
	for _, part := range path {
		next := n.step(part)
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

func (n *Node) step(part any) *Node {
	switch p := part.(type) {
	case string:
		return n.Get(p)
	case int:
		if p < len(n.Items) {
			return n.Items[p]
		}
	}
	return nil
}

// Value is the node as the plain Go value that encoding/json would give, but
// with integers as int64.
func (n *Node) Value() any {
	switch n.Kind {
	case List:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Value()
		}
		return list
	case Map:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			m[e.Key] = e.Value.Value()
		}
		return m
	default:
		return n.Scalar
	}
}

// FromValue is a tree of a plain value: what ${…} left behind, or decoded JSON.
func FromValue(v any) *Node {
	switch v := v.(type) {
	case nil:
		return &Node{Kind: Null, Text: "null"}
	case bool:
		return &Node{Kind: Bool, Scalar: v, Text: strconv.FormatBool(v)}
	case int:
		return FromValue(int64(v))
	case int64:
		return &Node{Kind: Int, Scalar: v, Text: strconv.FormatInt(v, 10)}
	case float64:
		return fromFloat(v)
	case string:
		return &Node{Kind: String, Scalar: v, Text: v}
	case []any:
		n := &Node{Kind: List}
		for _, item := range v {
			n.Items = append(n.Items, FromValue(item))
		}
		return n
	case map[string]any:
		return fromMap(v)
	default:
		return fromOther(v)
	}
}

// exact is the range in which a float64 holds every whole number.
const exact = 1 << 53

// fromFloat keeps whole numbers whole: JSON has one kind of number.
func fromFloat(f float64) *Node {
	if math.Abs(f) <= exact && f == math.Trunc(f) {
		return FromValue(int64(f))
	}
	return &Node{Kind: Float, Scalar: f, Text: strconv.FormatFloat(f, 'g', -1, 64)}
}
