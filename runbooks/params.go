package runbooks

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/document"
)

// hostile is what a string from an alert may hold unless its parameter says
// otherwise: whoever can raise an alert can write its labels.
var hostile = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,253}$`)

// params checks the declarations.
func (c *checker) params() {
	for _, name := range sortedKeys(c.doc.Params) {
		p, node := c.doc.Params[name], c.node.Find("params", name)
		if !paramName.MatchString(name) {
			c.add(c.node.Find("params").KeyPlace(name), "param-name", fmt.Sprintf("parameter name %q must be a plain word", name), "letters, digits and _")
		}
		if p.Pattern != "" {
			if _, err := regexp.Compile(p.Pattern); err != nil {
				c.add(node.Find("pattern").At, "pattern", fmt.Sprintf("pattern of parameter %s: %v", name, err), "")
				continue
			}
		}
		if (p.Pattern != "" || len(p.Enum) > 0) && p.Type != "string" && p.Type != "" {
			c.add(node.At, "wrong-type", fmt.Sprintf("parameter %s is a %s; only a string has a pattern or enum", name, p.Type), "")
			continue
		}
		if p.Default != nil && p.Type != "" {
			if _, err := p.accept(p.Default); err != nil {
				c.add(node.Find("default").At, "default", fmt.Sprintf("default of parameter %s: %v", name, err), "")
			}
		}
	}
}

var paramName = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)

// Resolve gives every parameter its value: what is set by hand, else what the
// alert has, else the default. All that is wrong is reported at once.
func (d *Document) Resolve(set map[string]any, alert *Alert) (map[string]any, error) {
	values := make(map[string]any, len(d.Params))
	var failed []error
	for _, name := range sortedKeys(set) {
		if _, known := d.Params[name]; !known {
			failed = append(failed, fmt.Errorf("runbook %s has no parameter %q (%s)", d.Runbook, name, orText(document.Suggest(name, sortedKeys(d.Params)), "it has none")))
		}
	}
	for _, name := range sortedKeys(d.Params) {
		p := d.Params[name]
		raw, from, ok := p.source(name, set, alert)
		if !ok {
			failed = append(failed, fmt.Errorf("parameter %s has no value: %s", name, p.howToSet(name, alert)))
			continue
		}
		value, err := p.accept(raw)
		if err != nil {
			failed = append(failed, fmt.Errorf("parameter %s (from %s): %w", name, from, err))
			continue
		}
		values[name] = value
	}
	return values, errors.Join(failed...)
}

func orText(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (p Param) source(name string, set map[string]any, alert *Alert) (value any, from string, ok bool) {
	if v, given := set[name]; given {
		return v, "--set", true
	}
	if v, given := p.fromAlert(alert); given {
		return v, p.From, true
	}
	return p.Default, "its default", p.Default != nil
}

func (p Param) fromAlert(alert *Alert) (string, bool) {
	if p.From == "" || alert == nil {
		return "", false
	}
	parts := strings.SplitN(p.From, ".", 3)
	from := alert.Labels
	if parts[1] == "annotations" {
		from = alert.Annotations
	}
	v, ok := from[parts[2]]
	return v, ok
}

func (p Param) howToSet(name string, alert *Alert) string {
	if alert != nil && p.From != "" {
		return "the alert has no " + strings.TrimPrefix(p.From, "alert.")
	}
	return "give it with --set " + name + "=…"
}

// accept gives a value in its declared type: string, int64, float64, bool, or
// the text of a duration.
func (p Param) accept(v any) (any, error) {
	switch p.Type {
	case "string":
		return p.acceptString(v)
	case "boolean":
		return p.acceptBool(v)
	case "integer":
		n, err := strconv.ParseInt(scalarText(v), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not an integer", shown(v))
		}
		return n, p.bounds(float64(n))
	case "number":
		f, err := strconv.ParseFloat(scalarText(v), 64)
		if err != nil || f != f {
			return nil, fmt.Errorf("%q is not a number", shown(v))
		}
		return f, p.bounds(f)
	default:
		d, err := model.ParseDuration(scalarText(v))
		if err != nil {
			return nil, fmt.Errorf("%q is not a duration such as 30s or 5m", shown(v))
		}
		return d.String(), p.bounds(time.Duration(d).Seconds())
	}
}

func scalarText(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func shown(v any) string { return document.Shorten(fmt.Sprint(v), 60) }

func (p Param) acceptBool(v any) (any, error) {
	switch fmt.Sprint(v) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return nil, fmt.Errorf("%q is not true or false", shown(v))
}

func (p Param) acceptString(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%q is not a string", shown(v))
	}
	if len(p.Enum) > 0 {
		if !slices.Contains(p.Enum, s) {
			return nil, fmt.Errorf("%q is not one of %s", shown(s), strings.Join(p.Enum, ", "))
		}
		return s, nil
	}
	form := hostile
	switch {
	case p.Pattern != "":
		var err error
		if form, err = regexp.Compile(`^(?:` + p.Pattern + `)$`); err != nil {
			return nil, fmt.Errorf("its pattern: %w", err)
		}
	case p.From == "":
		return s, nil
	}
	if !form.MatchString(s) || len(s) > maxValue {
		return nil, fmt.Errorf("%q does not match %s", shown(s), form)
	}
	return s, nil
}

func (p Param) bounds(n float64) error {
	if p.Min != nil && n < *p.Min {
		return fmt.Errorf("%v is below the least value, %v", n, *p.Min)
	}
	if p.Max != nil && n > *p.Max {
		return fmt.Errorf("%v is above the greatest value, %v", n, *p.Max)
	}
	return nil
}
