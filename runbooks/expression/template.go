package expression

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Template is a string with ${…} in it. Where the whole string is one ${…} the
// value keeps its type. $${ stands for a literal ${.
type Template struct {
	parts []part
}

type part struct {
	literal string
	source  string // of an expression
	offset  int    // of the expression's first byte in the string
}

// Hole is an expression in a template.
type Hole struct {
	Source string
	Offset int
}

// ParseTemplate splits a string. With an error it gives what stands before the
// mistake.
func ParseTemplate(s string) (Template, error) {
	var t Template
	var literal strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(s[i:], "${"):
			end := closing(s, i+2)
			if end < 0 {
				return t, &Error{Offset: i, Text: "${ has no closing }"}
			}
			if literal.Len() > 0 {
				t.parts = append(t.parts, part{literal: literal.String()})
				literal.Reset()
			}
			t.parts = append(t.parts, part{source: s[i+2 : end], offset: i + 2})
			i = end + 1
		default:
			literal.WriteByte(s[i])
			i++
		}
	}
	if literal.Len() > 0 {
		t.parts = append(t.parts, part{literal: literal.String()})
	}
	return t, nil
}

// closing finds the } that ends an expression, past nested braces and strings.
func closing(s string, from int) int {
	depth, quote := 0, byte(0)
	for i := from; i < len(s); i++ {
		c := s[i]
		switch {
		case quote != 0 && c == '\\' && quote != '`':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'' || c == '`':
			quote = c
		case c == '{':
			depth++
		case c == '}' && depth == 0:
			return i
		case c == '}':
			depth--
		}
	}
	return -1
}

// Holes are the expressions, in order.
func (t Template) Holes() []Hole {
	var holes []Hole
	for _, p := range t.parts {
		if p.source != "" || p.literal == "" {
			holes = append(holes, Hole{Source: p.source, Offset: p.offset})
		}
	}
	return holes
}

// Whole reports that the string is one expression and nothing else.
func (t Template) Whole() bool { return len(t.parts) == 1 && t.parts[0].literal == "" }

// Render evaluates the holes by the given function.
func (t Template) Render(eval func(source string) (any, error)) (any, error) {
	if t.Whole() {
		return eval(t.parts[0].source)
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.literal != "" {
			b.WriteString(p.literal)
			continue
		}
		v, err := eval(p.source)
		if err != nil {
			return nil, err
		}
		text, err := Text(v)
		if err != nil {
			return nil, fmt.Errorf("${%s}: %w", p.source, err)
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// Text is a scalar as part of a longer string.
func Text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), nil
	case time.Duration:
		return model.Duration(v).String(), nil
	case time.Time:
		return v.Format(time.RFC3339), nil
	case nil:
		return "", fmt.Errorf("there is no value")
	default:
		return "", fmt.Errorf("a %s can not be part of a text", TypeName(reflect.TypeOf(v)))
	}
}
