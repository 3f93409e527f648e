package expression_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/runbook-engine/runbook/runbooks/expression"
)

// Whatever a condition says: it compiles or is refused with a place in it, and
// answers or fails with one line.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		`steps.a.output.value > 0.9 and "x" not in windows`, `any(steps.a.output.series, .value / 0 > 2)`, `"é" == alert.labels["é"]`,
		`now - steps.a.output.at > duration("5m") ? true : false`, "len(1..1000) // c\n> 3", `steps?.a.outcome ?? "" matches "(a+)+"`, `{"a": 1}.a == [1][0]`,
		`replace(alert.labels.long, "a", "b") startsWith 'b'`, `list | filter(# > 3) | map(# % 0) | len() > 0`, `if count > 1 { true } else { false }`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > 1000 {
			return // longer ones say nothing new, and take long
		}
		program, err := expression.Bool(source, testEnv)
		if syntax, parseErr := expression.Parse(source); parseErr == nil {
			syntax.Constant()
			if checkErr := syntax.CheckBool(expression.NewNames(testEnv)); (checkErr == nil) != (err == nil) {
				t.Errorf("%q: the check says %v, the compiler %v", source, checkErr, err)
			}
		}
		if err != nil {
			var at *expression.Error
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset > len(source) || strings.Contains(at.Text, "\n") {
				t.Errorf("%q: %#v", source, err)
			}
			return
		}
		expression.References(source)
		if yes, err := program.True(testValues()); err != nil && (yes || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: %v, %v", source, yes, err)
		}
	})
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"a ${b} c", "$${x}", "${ {\"a\": \"}\"} }", "${'it\\'s }'}", "$$${x}", "${", "${`}`}", "${}", "é${é}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		template, err := expression.ParseTemplate(s)
		if err != nil {
			var at *expression.Error
			if !errors.As(err, &at) || at.Offset < 0 || at.Offset >= len(s) {
				t.Errorf("%q: %#v", s, err)
			}
			return
		}
		for _, h := range template.Holes() {
			if h.Offset < 2 || s[h.Offset-2:h.Offset] != "${" || s[h.Offset:h.Offset+len(h.Source)] != h.Source {
				t.Errorf("%q: hole %+v", s, h)
			}
		}
		out, err := template.Render(func(string) (any, error) { return "", nil })
		if text, ok := out.(string); err != nil || !ok || len(text) > len(s) || utf8.ValidString(s) && !utf8.ValidString(text) {
			t.Errorf("%q rendered to %q, %v", s, out, err)
		}
	})
}
