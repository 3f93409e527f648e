package expression_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/runbooks/expression"
)

func render(t *testing.T, s string) (any, error) {
	t.Helper()
	template, err := expression.ParseTemplate(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return template.Render(func(source string) (any, error) {
		program, err := expression.Any(source, testEnv)
		if err != nil {
			return nil, err
		}
		return program.Eval(testValues())
	})
}

func TestTemplates(t *testing.T) {
	for s, want := range map[string]any{
		"":                        "",
		"no hole":                 "no hole",
		"${count}":                7,
		"${steps.a.output.value}": 1.5,
		"${steps.a.output.took}":  90 * time.Second,
		"${count > 3}":            true,
		"${[1, 2]}":               []any{1, 2},
		" ${count}":               " 7",
		"n=${count}, v=${steps.a.output.value}, t=${steps.a.output.took}": "n=7, v=1.5, t=1m30s",
		"${now} ${true}":               "2026-01-02T03:04:05Z true",
		"$${count}":                    "${count}",
		"a $${b} ${count} $${c}":       "a ${b} 7 ${c}",
		"$ {} $":                       "$ {} $",
		"${ {'a': 1}.a }":              1,
		`${"}" + '{' + "\"}"}`:         `}{"}`,
		"${`}`}":                       "}",
		`up{db="${alert.labels.env}"}`: `up{db="prod"}`,
		"${alert.labels.missing}":      "",
		"é${alert.labels.é}é":          "éxé",
	} {
		got, err := render(t, s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %#v, %v, want %#v", s, got, err, want)
		}
	}
}

func TestTemplatesThatHaveNoAnswer(t *testing.T) {
	for s, says := range map[string]string{
		"a ${list}":                   "${list}: a list can not be part of a text",
		"a ${json}":                   "${json}: a mapping can not be part of a text",
		"a ${steps.a.output.missing}": "${steps.a.output.missing}: there is no value",
		"${count / 0}":                "division by zero",
		"${}":                         "the expression is empty",
		"${nope}":                     `there is no "nope" here`,
	} {
		got, err := render(t, s)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v, want an error: %s", s, got, err, says)
		}
	}
}

func TestTemplateWithoutAnEnd(t *testing.T) {
	for s, want := range map[string]int{"${a": 0, "b ${a": 2, "${a} ${'}": 5, "${ {a }": 0} {
		_, err := expression.ParseTemplate(s)
		var at *expression.Error
		if !errors.As(err, &at) || at.Offset != want {
			t.Errorf("%q: %#v, want an error at %d", s, err, want)
		}
	}
}

func TestHolesKnowTheirPlace(t *testing.T) {
	template, err := expression.ParseTemplate("é ${a} $${b} ${c }")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(template.Holes()); got != "[{a 5} {c  16}]" {
		t.Errorf("holes %s", got)
	}
}
