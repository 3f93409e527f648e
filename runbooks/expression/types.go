package expression

import (
	"reflect"
	"sync"
	"time"

	"github.com/expr-lang/expr/types"

	"github.com/runbook-engine/runbook/internal/shape"
)

// TypeOf is the type of values of a shape. Structs become nested maps: a Go
// struct type inside a types.Map crashes expr's checker.
func TypeOf(t *shape.Type) types.Type {
	switch t.Kind {
	case shape.String:
		return types.String
	case shape.Int:
		return types.Int
	case shape.Float:
		return types.Float64
	case shape.Bool:
		return types.Bool
	case shape.Duration:
		return types.TypeOf(time.Duration(0))
	case shape.Time:
		return types.TypeOf(time.Time{})
	case shape.List:
		return types.Array(TypeOf(t.Elem))
	case shape.Map:
		return types.Map{types.Extra: TypeOf(t.Elem)}
	case shape.Struct:
		return structType(t)
	default:
		return types.Any
	}
}

// structTypes are kept, because they are asked for with every document.
var structTypes sync.Map

func structType(t *shape.Type) types.Map {
	if known, ok := structTypes.Load(t); ok {
		return known.(types.Map)
	}
	m := types.Map{}
	for _, f := range t.Fields {
		m[f.Name] = TypeOf(f.Type)
	}
	structTypes.Store(t, m)
	return m
}

// Fits reports whether a value of a static type may stand where a shape is
// wanted. An unknown type fits: it is checked when it is there.
func Fits(from reflect.Type, to *shape.Type) bool {
	if from == nil || from.Kind() == reflect.Interface || to.Kind == shape.Any {
		return true
	}
	if from == reflect.TypeFor[time.Duration]() { // whose kind is an integer's
		return to.Kind == shape.Duration
	}
	switch to.Kind {
	case shape.String:
		return from.Kind() == reflect.String
	case shape.Int:
		return from.Kind() == reflect.Int
	case shape.Float:
		return from.Kind() == reflect.Float64 || from.Kind() == reflect.Int
	case shape.Bool:
		return from.Kind() == reflect.Bool
	case shape.Duration:
		return from.Kind() == reflect.String
	case shape.Time:
		return from == reflect.TypeFor[time.Time]() || from.Kind() == reflect.String
	case shape.List:
		return from.Kind() == reflect.Slice || from.Kind() == reflect.Array
	default:
		return from.Kind() == reflect.Map
	}
}
