package expression

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/shape"
)

// Decode gives JSON of a shape as the values that expressions of TypeOf expect.
func Decode(t *shape.Type, raw json.RawMessage) (any, error) {
	v, err := decodeExact(raw)
	if err != nil {
		return nil, err
	}
	return Value(t, v), nil
}

// decodeExact keeps numbers as they are written: a float64 would round an
// integer above 2^53.
func decodeExact(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the value")
	}
	return v, nil
}

// Value converts decoded JSON. What does not fit its shape stays as it is, so
// that an expression over it fails rather than reads a zero.
func Value(t *shape.Type, v any) any {
	switch t.Kind {
	case shape.Int:
		return intValue(v)
	case shape.Float:
		return floatValue(v)
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
	case shape.Map:
		return mapValue(t, v)
	case shape.Struct:
		return structValue(t, v)
	case shape.Any:
		return anyValue(v)
	}
	return v
}

// exact is the range in which a float64 holds every whole number.
const exact = 1 << 53

func intValue(v any) any {
	switch n := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
			return int(i)
		}
		return anyNumber(n)
	case float64:
		if n == math.Trunc(n) && math.Abs(n) <= exact {
			return int(n)
		}
	case int64:
		return int(n)
	}
	return v
}

func floatValue(v any) any {
	switch n := v.(type) {
	case json.Number:
		if f, err := n.Float64(); err == nil {
			return f
		}
	case int64:
		return float64(n)
	case int:
		return float64(n)
	}
	return v
}

// anyNumber is an int where it is written as one.
func anyNumber(n json.Number) any {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return int(i)
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}

func anyValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		return anyNumber(v)
	case []any:
		for i := range v {
			v[i] = anyValue(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = anyValue(v[key])
		}
	}
	return v
}

// listValue reads null as no items: so JSON has a list that was never begun.
func listValue(t *shape.Type, v any) any {
	if v == nil {
		return []any{}
	}
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

// mapValue gives a map of texts as such: what it has not is then the empty text,
// as it is of an alert's labels.
func mapValue(t *shape.Type, v any) any {
	if v == nil {
		v = map[string]any{}
	}
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if texts, ok := textMap(t, m); ok {
		return texts
	}
	out := make(map[string]any, len(m))
	for key, item := range m {
		out[key] = Value(t.Elem, item)
	}
	return out
}

func textMap(t *shape.Type, m map[string]any) (map[string]string, bool) {
	if t.Elem.Kind != shape.String {
		return nil, false
	}
	texts := make(map[string]string, len(m))
	for key, item := range m {
		s, ok := item.(string)
		if !ok {
			return nil, false
		}
		texts[key] = s
	}
	return texts, true
}

func structValue(t *shape.Type, v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(t.Fields))
	for _, f := range t.Fields {
		item, there := m[f.Name]
		switch {
		case there:
			out[f.Name] = Value(f.Type, item)
		case f.OmitsZero:
			out[f.Name] = zero(f.Type)
		}
	}
	return out
}

// zero is what JSON left out.
func zero(t *shape.Type) any {
	switch t.Kind {
	case shape.String:
		return ""
	case shape.Int:
		return 0
	case shape.Float:
		return 0.0
	case shape.Bool:
		return false
	case shape.Duration:
		return time.Duration(0)
	case shape.Time:
		return time.Time{}
	case shape.List:
		return listValue(t, nil)
	case shape.Map:
		return mapValue(t, nil)
	default:
		return nil
	}
}
