package parameter

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// plainText is what a string from an alert may hold unless its parameter says
// otherwise: whoever can raise an alert can write its labels.
var plainText = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,253}$`)

// maxLength is the longest string, in bytes.
const maxLength = 4 << 10

// Accept gives a value in the declared type: string, int64, float64, bool, or
// the text of a duration.
func (p Param) Accept(v any) (any, error) {
	switch p.Kind() {
	case shape.String:
		return p.acceptString(v)
	case shape.Bool:
		return acceptBool(v)
	case shape.Int:
		n, err := strconv.ParseInt(scalarText(v), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s is not an integer", shown(v))
		}
		return n, p.within(float64(n), "")
	case shape.Float:
		f, err := number(scalarText(v))
		if err != nil {
			return nil, fmt.Errorf("%s is not a number", shown(v))
		}
		return f, p.within(f, "")
	default:
		d, err := model.ParseDuration(scalarText(v))
		if err != nil {
			return nil, fmt.Errorf("%s is not a duration such as 30s or 5m", shown(v))
		}
		return d.String(), p.within(time.Duration(d).Seconds(), " seconds")
	}
}

// decimal leaves out what strconv reads besides: Inf, NaN, 0x1p-2.
var decimal = regexp.MustCompile(`^[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?$`)

func number(text string) (float64, error) {
	if !decimal.MatchString(text) {
		return 0, errors.New("not a decimal number")
	}
	return strconv.ParseFloat(text, 64)
}

func scalarText(v any) string {
	f, ok := v.(float64)
	if ok && math.Abs(f) < 1<<63 {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

func shown(v any) string { return strconv.Quote(document.Shorten(fmt.Sprint(v), 60)) }

func acceptBool(v any) (any, error) {
	switch v {
	case true, "true":
		return true, nil
	case false, "false":
		return false, nil
	}
	return nil, fmt.Errorf("%s is not true or false", shown(v))
}

func (p Param) acceptString(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("%s is not a string", shown(v))
	}
	if len(s) > maxLength {
		return nil, fmt.Errorf("it has %d bytes; the limit is %d", len(s), maxLength)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, isControl) {
		return nil, fmt.Errorf("%s has characters that are no text", shown(s))
	}
	return s, p.matches(s)
}

func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }

func (p Param) matches(s string) error {
	switch {
	case len(p.Enum) > 0:
		if !slices.Contains(p.Enum, s) {
			return fmt.Errorf("%s is not one of %s", shown(s), strings.Join(p.Enum, ", "))
		}
	case p.Pattern != "":
		form := p.form
		if form == nil {
			var err error
			if form, err = compileForm(p.Pattern); err != nil {
				return fmt.Errorf("its pattern: %w", err)
			}
		}
		if !form.MatchString(s) {
			return fmt.Errorf("%s does not match its pattern %s", shown(s), p.Pattern)
		}
	case p.From != "" && !plainText.MatchString(s):
		return fmt.Errorf("%s does not match %s, which a value from an alert must unless the parameter has a pattern or an enum", shown(s), plainText)
	}
	return nil
}

func (p Param) within(n float64, unit string) error {
	if p.Min != nil && n < *p.Min {
		return fmt.Errorf("%v%s is below the least value, %v", n, unit, *p.Min)
	}
	if p.Max != nil && n > *p.Max {
		return fmt.Errorf("%v%s is above the greatest value, %v", n, unit, *p.Max)
	}
	return nil
}
