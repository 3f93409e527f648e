package parameter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/internal/document"
)

// Lookup finds a value in an alert by where a parameter says that it is:
// alert.labels.NAME. A nil one means that there is no alert.
type Lookup func(from string) (string, bool)

// Resolve gives every parameter its value: what is set by hand, else what the
// alert has, else the default. Values are of type string, int64, float64 and
// bool, durations as their text. All that is wrong is reported at once.
func Resolve(params map[string]Param, set map[string]any, alert Lookup) (map[string]any, error) {
	values := make(map[string]any, len(params))
	failed := unknown(params, set)
	for _, name := range sortedKeys(params) {
		p := params[name]
		raw, from, ok := p.find(name, set, alert)
		if !ok {
			failed = append(failed, fmt.Errorf("parameter %s has no value: %s", name, p.howToSet(name, alert)))
			continue
		}
		value, err := p.Accept(raw)
		if err != nil {
			failed = append(failed, fmt.Errorf("parameter %s (from %s): %w", name, from, err))
			continue
		}
		values[name] = value
	}
	return values, errors.Join(failed...)
}

func unknown(params map[string]Param, set map[string]any) (failed []error) {
	for _, name := range sortedKeys(set) {
		if _, known := params[name]; known {
			continue
		}
		hint := document.Suggest(name, sortedKeys(params))
		if len(params) == 0 {
			hint = "it has none"
		}
		failed = append(failed, fmt.Errorf("there is no parameter %q (%s)", name, hint))
	}
	return failed
}

func (p Param) find(name string, set map[string]any, alert Lookup) (value any, from string, ok bool) {
	if v, given := set[name]; given {
		return v, "--set", true
	}
	if p.From != "" && alert != nil {
		if v, given := alert(p.From); given {
			return v, p.From, true
		}
	}
	return p.Default, "its default", p.Default != nil
}

func (p Param) howToSet(name string, alert Lookup) string {
	if alert == nil {
		return "give it with --set " + name + "=…"
	}
	if p.From == "" {
		return "it has neither a default nor a from, so no alert can give it one"
	}
	return "the alert has no " + strings.TrimPrefix(p.From, "alert.")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
