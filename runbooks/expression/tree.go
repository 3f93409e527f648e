package expression

import (
	"maps"
	"slices"
)

// Fill gives a tree of plain values with the ${…} in its strings replaced by
// what eval makes of them.
func Fill(tree any, eval func(source string) (any, error)) (any, error) {
	switch v := tree.(type) {
	case string:
		t, err := ParseTemplate(v)
		if err != nil {
			return nil, err
		}
		return t.Render(eval)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			var err error
			if out[i], err = Fill(item, eval); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var err error
			if out[key], err = Fill(v[key], eval); err != nil {
				return nil, err
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

// Sources are the expressions in a tree of plain values.
func Sources(tree any) (sources []string) {
	_, err := Fill(tree, func(source string) (any, error) {
		sources = append(sources, source)
		return "", nil
	})
	if err != nil {
		return nil // it does not get as far as to be evaluated
	}
	return sources
}
