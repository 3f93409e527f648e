package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Values are a tree of plain values: nil, bool, int64, float64, string, []any and
// map[string]any. It comes back from JSON as it went: an integer that a float64
// would round stays what it is.
type Values map[string]any

// UnmarshalJSON implements json.Unmarshaler.
func (v *Values) UnmarshalJSON(raw []byte) error {
	plain, err := FromJSON(raw)
	if err != nil {
		return err
	}
	m, ok := plain.(map[string]any)
	if plain != nil && !ok {
		return fmt.Errorf("read values: %T is no mapping", plain)
	}
	*v = m
	return nil
}

// FromJSON reads one plain value, with integers as int64.
func FromJSON(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return exactNumbers(v), nil
}

func exactNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return exactNumber(v)
	case []any:
		for i := range v {
			v[i] = exactNumbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = exactNumbers(v[key])
		}
	}
	return v
}

func exactNumber(n json.Number) any {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		return i
	}
	if f, err := n.Float64(); err == nil {
		return f
	}
	return n.String()
}
