package expression

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/builtin"
	"github.com/prometheus/common/model"
)

// predicates and plain are the functions of expr that the language has. It has
// none that reads a clock, walks a map in random order, keeps an accumulator or
// gives 0 for no data.
var (
	predicates = []string{"all", "any", "count", "filter", "find", "map", "none", "one", "sum"}
	plain      = []string{
		"abs", "ceil", "date", "duration", "first", "float", "floor", "hasPrefix", "hasSuffix", "int", "join", "last", "len",
		"lower", "max", "min", "replace", "round", "split", "string", "trim", "trimPrefix", "trimSuffix", "upper",
	}
)

// Functions are the names of all functions, sorted.
func Functions() []string { return slices.Sorted(slices.Values(slices.Concat(predicates, plain))) }

// own are the functions that take the place of expr's, because these give a
// wrong answer where there is none, or grow without bound. The names can not be
// written in an expression.
var own = map[string]func(args ...any) (any, error){
	"duration()": parseDuration,
	"float()":    finiteFloat,
	"replace()":  replace,
	"join()":     join,
	"divisor()":  divisor,
	"known()":    known,
}

var functions = func() map[string]*builtin.Function {
	all := map[string]*builtin.Function{}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		all[name] = &builtin.Function{Name: name, Func: own[name]}
	}
	return all
}()

// parseDuration reads both what documents and Prometheus write (30d) and what
// Go does (1.5s).
func parseDuration(args ...any) (any, error) {
	text, ok := args[0].(string)
	if !ok {
		return nil, fmt.Errorf("duration needs a text such as \"30s\", not %s", TypeName(reflect.TypeOf(args[0])))
	}
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a duration such as 500ms, 30s or 1h30m", text)
	}
	return d, nil
}

// finiteFloat keeps the text "NaN", of a label, from being different from
// everything, and "Inf" from being above everything.
func finiteFloat(args ...any) (any, error) {
	f, ok := builtin.Float(args[0]).(float64)
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v is not a finite number", args[0])
	}
	return f, nil
}

// divisor keeps a division by zero from being above everything.
func divisor(args ...any) (any, error) {
	if v := reflect.ValueOf(args[0]); v.IsValid() && v.IsZero() {
		return nil, errors.New("division by zero")
	}
	return args[0], nil
}

// known keeps a value that is not there from being different from everything.
func known(args ...any) (any, error) {
	if args[0] == nil {
		return nil, errors.New("there is no value to compare")
	}
	return args[0], nil
}

// maxText is the longest text that a function may make, in bytes.
const maxText = 64 << 10

func tooLong(name string, length int) error {
	if length <= maxText {
		return nil
	}
	return fmt.Errorf("%s would make a text of %d bytes; the limit is %d", name, length, maxText)
}

func replace(args ...any) (any, error) {
	text, old, by := args[0].(string), args[1].(string), args[2].(string)
	if err := tooLong("replace", len(text)+strings.Count(text, old)*max(0, len(by)-len(old))); err != nil {
		return nil, err
	}
	return builtin.Builtins[builtin.Index["replace"]].Func(args...)
}

func join(args ...any) (any, error) {
	glue := 0
	if len(args) > 1 {
		glue = len(args[1].(string))
	}
	length := 0
	parts := reflect.ValueOf(args[0])
	for i := range parts.Len() {
		part, ok := parts.Index(i).Interface().(string)
		if !ok {
			return nil, fmt.Errorf("join needs a list of texts; one item is %s", TypeName(reflect.TypeOf(parts.Index(i).Interface())))
		}
		length += len(part) + glue
	}
	if err := tooLong("join", length); err != nil {
		return nil, err
	}
	return builtin.Builtins[builtin.Index["join"]].Func(args...)
}
