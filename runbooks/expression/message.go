package expression

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/types"
)

// oneLine keeps the first line of a message: expr draws the place below it.
func oneLine(text string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// wordings are expr's messages and ours. $1 and $2 are types or names.
var wordings = []struct {
	theirs *regexp.Regexp
	ours   string
}{
	{regexp.MustCompile(`^unexpected token EOF$`), "the expression ends too early"},
	{regexp.MustCompile(`^unexpected token (\w+)\("?(.*?)"?\)$`), "unexpected $2"},
	{regexp.MustCompile(`^literal not terminated$`), "the string has no closing quote"},
	{regexp.MustCompile(`^unknown name (\S+)$`), `there is no "$1" here`},
	{regexp.MustCompile(`^unknown field (\S+)$`), `there is no field "$1"`},
	{regexp.MustCompile(`^invalid operation: (?:int|float)\((.*)\)$`), `"$1" is not a number`},
	{regexp.MustCompile(`^invalid operation: <nil> (<|<=|>|>=|[-+*/%]) .+$`), "there is no value before $1"},
	{regexp.MustCompile(`^invalid operation: .+ (<|<=|>|>=|[-+*/%]) <nil>$`), "there is no value after $1"},
	{regexp.MustCompile(`^invalid operation: (\S+) \(mismatched types (.+) and (.+)\)$`), "{$2} $1 {$3}: these do not go together"},
	{regexp.MustCompile(`^invalid operation: (\S+) \(mismatched type (.+)\)$`), "$1 does not work on {$2}"},
	{regexp.MustCompile(`^invalid operation: (.+) (<|<=|>|>=|[-+*/%]) (.+)$`), "{$1} $2 {$3}: these do not go together"},
	{regexp.MustCompile(`^expected bool, but got (.+)$`), "a condition is true or false; this is of type {$1}"},
	{regexp.MustCompile(`^non-bool expression \(type (.+)\) used as condition$`), "what stands before ? must be true or false, not of type {$1}"},
	{regexp.MustCompile(`^cannot fetch (\S+) from <nil>$`), "there is no value to take $1 from"},
	{regexp.MustCompile(`^cannot fetch (\S+) from (.+)$`), "{$2} has no $1"},
	{regexp.MustCompile(`^type (.+)\[(.+)\] is undefined$`), "{$1} has no item {$2}"},
	{regexp.MustCompile(`^(.+) is not callable$`), "{$1} is no function"},
	{regexp.MustCompile(`^builtin (\w+) takes only array \(got (.+)\)$`), "$1 needs a list, not {$2}"},
	{regexp.MustCompile(`^predicate should return boolean \(got (.+)\)$`), "what is asked of each item must be true or false, not {$1}"},
	{regexp.MustCompile(`^interface conversion: .* is (.+), not (\w+)$`), "{$1} stands where {$2} is wanted"},
	{regexp.MustCompile(`^memory budget exceeded$`), "it needs too much memory"},
}

var typeIn = regexp.MustCompile(`\{([^}]*(?:\{\})?[^}]*)\}`)

var position = regexp.MustCompile(` \(\d+:\d+\)$`)

// maxMessage keeps a hostile value, which expr repeats, from filling the log.
const maxMessage = 300

// plainWords says what expr found in the words of this project, on one line.
func plainWords(text string) string {
	text = position.ReplaceAllString(oneLine(text), "")
	if r := []rune(text); len(r) > maxMessage {
		text = string(r[:maxMessage]) + "…"
	}
	for _, w := range wordings {
		if !w.theirs.MatchString(text) {
			continue
		}
		text = w.theirs.ReplaceAllString(text, w.ours)
		return typeIn.ReplaceAllStringFunc(text, func(name string) string {
			return typeName(name[1 : len(name)-1])
		})
	}
	return text
}

var typeNames = map[string]string{
	"float64": "number", "float": "number", "int": "integer", "int64": "integer", "uint": "integer", "bool": "boolean", "string": "string",
	"time.Duration": "duration", "time.Time": "time", "<nil>": "value that is not there", "nil": "nil",
	"map[string]interface {}": "mapping", "map[string]string": "mapping", "[]interface {}": "list", "[]string": "list",
	"interface {}": "value of unknown type", "unknown": "value of unknown type",
}

func typeName(name string) string {
	if ours, ok := typeNames[name]; ok {
		return ours
	}
	return name
}

// TypeName is a Go type in the words of documents.
func TypeName(t reflect.Type) string {
	switch {
	case t == nil:
		return typeNames["<nil>"]
	case t == reflect.TypeFor[time.Duration](), t == reflect.TypeFor[time.Time]():
		return typeName(t.String())
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		return "list"
	case t.Kind() == reflect.Map:
		return "mapping"
	}
	return typeName(t.String())
}

// explained adds what could be written instead.
func (s *Syntax) explained(e *Error, env Env) *Error {
	switch {
	case strings.HasPrefix(e.Text, "there is no field"):
		if ref := s.at(e.Offset); ref != nil {
			e.Hint = knownNames(fieldsBefore(env, ref.Path))
		}
	case strings.HasPrefix(e.Text, `there is no "`) && strings.HasSuffix(e.Text, " here"):
		e.Hint = knownNames(env)
	case e.Text == "unexpected =":
		e.Hint = "compare with =="
	case strings.HasPrefix(e.Text, "a condition is true or false"):
		e.Hint = "compare it with something, such as … > 0.9"
	case strings.Contains(e.Text, "duration") && strings.Contains(e.Text, "do not go together"):
		e.Hint = `write a duration as duration("30s")`
	}
	return e
}

// at is the reference that an offset lies in.
func (s *Syntax) at(offset int) *Reference {
	for i, ref := range s.References {
		end := ref.Offset + len(strings.Join(ref.Path, "."))
		if offset >= ref.Offset && offset <= end {
			return &s.References[i]
		}
	}
	return nil
}

// fieldsBefore are the fields where a path leaves what there is.
func fieldsBefore(env Env, path []string) types.Map {
	for _, name := range path {
		next, isMap := env[name].(types.Map)
		if _, known := env[name]; !known || !isMap {
			break
		}
		env = next
	}
	return env
}

func knownNames(fields types.Map) string {
	var names []string
	for name := range fields {
		if key, ok := any(name).(string); ok && key != types.Extra {
			names = append(names, key)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return "known: " + strings.Join(names, ", ")
}
