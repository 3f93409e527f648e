package expression

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/expr-lang/expr/types"
	"github.com/prometheus/common/model"

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

func structType(t *shape.Type) types.Map {
	m := types.Map{}
	for _, f := range t.Fields {
		m[f.Name] = TypeOf(f.Type)
	}
	return m
}

// Decode gives JSON of a shape as the values that expressions of TypeOf expect.
func Decode(t *shape.Type, raw json.RawMessage) (any, error) {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return nil, err
	}
	return Value(t, v), nil
}

// Value converts decoded JSON. What does not fit its shape stays as it is, so
// that an expression over it fails rather than reads a zero.
func Value(t *shape.Type, v any) any {
	switch t.Kind {
	case shape.Int:
		if f, ok := v.(float64); ok {
			return int(f)
		}
		if i, ok := v.(int64); ok {
			return int(i)
		}
	case shape.Float:
		if i, ok := v.(int64); ok {
			return float64(i)
		}
	case shape.Duration:
		if s, ok := v.(string); ok {
			if d, err := model.ParseDuration(s); err == nil {
				return time.Duration(d)
			}
		}
	case shape.Time:
		if s, ok := v.(string); ok {
			if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
				return at
			}
		}
	case shape.List:
		return listValue(t, v)
	case shape.Map, shape.Struct:
		return mapValue(t, v)
	}
	return v
}

func listValue(t *shape.Type, v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = Value(t.Elem, item)
	}
	return out
}

func mapValue(t *shape.Type, v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(m))
	for key, item := range m {
		elem := t.Elem
		if t.Kind == shape.Struct {
			f, known := t.Field(key)
			if !known {
				continue
			}
			elem = f.Type
		}
		out[key] = Value(elem, item)
	}
	return out
}

// Fits reports whether a value of a static type may stand where a shape is
// wanted. An unknown type fits: it is checked when it is there.
func Fits(from reflect.Type, to *shape.Type) bool {
	if from == nil || from.Kind() == reflect.Interface || to.Kind == shape.Any {
		return true
	}
	switch to.Kind {
	case shape.String:
		return from.Kind() == reflect.String
	case shape.Int:
		return from.Kind() == reflect.Int || from.Kind() == reflect.Int64
	case shape.Float:
		return from.Kind() == reflect.Float64 || from.Kind() == reflect.Int || from.Kind() == reflect.Int64
	case shape.Bool:
		return from.Kind() == reflect.Bool
	case shape.Duration:
		return from == reflect.TypeFor[time.Duration]() || from.Kind() == reflect.String
	case shape.Time:
		return from == reflect.TypeFor[time.Time]() || from.Kind() == reflect.String
	case shape.List:
		return from.Kind() == reflect.Slice || from.Kind() == reflect.Array
	default:
		return from.Kind() == reflect.Map
	}
}
