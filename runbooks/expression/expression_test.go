package expression_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/expr-lang/expr/types"

	"github.com/runbook-engine/runbook/runbooks/expression"
)

var (
	durationType = types.TypeOf(time.Duration(0))
	timeType     = types.TypeOf(time.Time{})
)

var testEnv = expression.Env{
	"alert":    types.Map{"labels": types.Map{types.Extra: types.String}},
	"duration": durationType, // a field may have the name of a function
	"count":    types.Int,
	"now":      timeType,
	"windows":  types.Array(types.String),
	"list":     types.Array(types.Int),
	"empty":    types.Array(types.Int),
	"json":     types.Any,
	"steps": types.Map{"a": types.Map{
		"outcome": types.String,
		"output": types.Map{
			"value": types.TypeOf(float64(0)), "missing": types.TypeOf(float64(0)), "text": types.String, "n": types.Int, "took": durationType, "at": timeType,
			"series": types.Array(types.Map{"labels": types.Map{types.Extra: types.String}, "value": types.TypeOf(float64(0))}),
		},
	}},
}

func testValues() map[string]any {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	list := make([]any, 1000)
	for i := range list {
		list[i] = i
	}
	return map[string]any{
		"alert":    map[string]any{"labels": map[string]string{"env": "prod", "nan": "NaN", "inf": "+Inf", "long": strings.Repeat("a", 4000), "é": "x"}},
		"duration": time.Second, "count": 7, "now": now, "windows": []string{"maintenance"}, "list": list, "empty": []any{},
		"json": map[string]any{"status": "ok", "n": 3.0},
		"steps": map[string]any{"a": map[string]any{
			"outcome": "done",
			"output": map[string]any{
				"value": 1.5, "text": "x", "n": 0, "took": 90 * time.Second, "at": now.Add(-time.Hour),
				"series": []any{map[string]any{"labels": map[string]any{"pod": "p"}, "value": 2.5}},
			},
		}},
	}
}

func TestConditions(t *testing.T) {
	for source, want := range map[string]bool{
		`steps.a.output.value > 0.9`:                        true,
		`steps.a["outcome"] == "done"`:                      true,
		`steps?.a?.outcome == "done"`:                       true,
		`alert.labels.env == "prod"`:                        true,
		`alert.labels.missing == ""`:                        true, // as Alertmanager has it
		`alert.labels["a-b"] == ""`:                         true,
		`alert.labels.é == "x"`:                             true,
		`alert.labels.env matches "^pr"`:                    true,
		`alert.labels.env in ["prod", "staging"]`:           true,
		`"maintenance" not in windows`:                      false,
		`steps.a.output.took > duration("1m")`:              true,
		`steps.a.output.took < duration("30d")`:             true, // Prometheus' units
		`duration < duration("1.5s")`:                       true, // Go's, and a field of the same name
		`count > 3 and count(list, # < 3) == 3`:             true,
		`now - steps.a.output.at > duration("59m")`:         true,
		`now.Hour() < 6`:                                    true,
		`steps.a.output.missing == nil`:                     true,
		`(steps.a.output.missing ?? 0) == 0`:                true,
		`any(steps.a.output.series, .value > 2)`:            true,
		`any(list, any(list, # == 999))`:                    true,
		`all(empty, # > 0)`:                                 true,
		`len(empty) > 0 and all(empty, # > 0)`:              false,
		`steps.a.output.n == 0 or 1 / steps.a.output.n > 1`: true,
		`json.status == "ok"`:                               true,
		`json.nothing == "ok"`:                              false,
		`float("1.5") == 1.5 and int("3") == 3`:             true,
		`steps.a.outcome == "done" ? true : false`:          true,
	} {
		program, err := expression.Bool(source, testEnv)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got, err := program.True(testValues()); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", source, got, err, want)
		}
	}
}

// What can not be answered is an error, whichever way it is asked.
func TestNoAnswerIsNeverTrue(t *testing.T) {
	for source, says := range map[string]string{
		`steps.a.output.missing > 1`:                                          "there is no value before >",
		`1 < steps.a.output.missing`:                                          "there is no value after <",
		`steps.a.output.missing != 1`:                                         "there is no value to compare",
		`1 != steps.a.output.missing`:                                         "there is no value to compare",
		`steps.a.output.missing not in [1, 2]`:                                "there is no value to compare",
		`not (steps.a.output.missing == 1)`:                                   "there is no value to compare",
		`steps.a.output.value / steps.a.output.n > 0.9`:                       "division by zero",
		`not (steps.a.output.value / 0 < 0.9)`:                                "division by zero",
		`steps.a.output.n % steps.a.output.n == 0`:                            "division by zero",
		`sum(empty) / len(empty) < 0.7`:                                       "division by zero",
		`max(empty) < 1`:                                                      "there is no value before <",
		`float(alert.labels.nan) != 3`:                                        "NaN is not a finite number",
		`float(alert.labels.inf) > 3`:                                         "+Inf is not a finite number",
		`float(alert.labels.env) > 3`:                                         `"prod" is not a number`,
		`int(alert.labels.missing) == 0`:                                      "is not a number",
		`steps.a.output.series[7].value > 1`:                                  "index out of range",
		`json.status > 3`:                                                     "string > integer: these do not go together",
		`json.nothing.deeper == 1`:                                            "there is no value to take deeper from",
		`json`:                                                                "the answer is mapping, not true or false",
		`json.nothing`:                                                        "there is no value",
		`duration(alert.labels.env) > duration`:                               `"prod" is not a duration`,
		`date(alert.labels.env) < now`:                                        "invalid date prod",
		`alert.labels.env matches alert.labels["(("]`:                         "",
		`any(1..1000, any(1..1000, # == -1))`:                                 "it needs too much memory",
		`len(1..1000000000) > 0`:                                              "it needs too much memory",
		`len(map(list, {map(list, #)})) > 0`:                                  "it needs too much memory",
		`len(replace(alert.labels.long, "a", alert.labels.long)) > 0`:         "replace would make a text of 16000000 bytes",
		`len(join(map(split(alert.labels.long, ""), alert.labels.long))) > 0`: "join would make a text of 16000000 bytes",
	} {
		program, err := expression.Bool(source, testEnv)
		if err != nil {
			t.Errorf("%s: does not compile: %v", source, err)
			continue
		}
		got, err := program.True(testValues())
		if says == "" {
			continue
		}
		if got || err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v, want an error: %s", source, got, err, says)
		}
	}
}

func TestMistakesAreSaidInPlainWordsAtTheirPlace(t *testing.T) {
	for source, want := range map[string]string{
		``:                                       "0: the expression is empty",
		`1 +`:                                    "2: the expression ends too early",
		`steps.a.outcome = "done"`:               "16: unexpected = (compare with ==)",
		`steps.a.outcome == 'done`:               "24: the string has no closing quote",
		`(count`:                                 "5: the expression ends too early",
		`nope > 1`:                               `0: there is no "nope" here (known: alert, count, duration, empty, json, list, now, steps, windows)`,
		`steps.a.output.valu > 1`:                `15: there is no field "valu" (known: at, missing, n, series, text, took, value)`,
		`"é" == steps.a.otcome`:                  `16: there is no field "otcome" (known: outcome, output)`,
		`any(steps.a.output.series, .valu > 2)`:  `28: there is no field "valu"`,
		`steps.a.output.value == "x"`:            "21: number == string: these do not go together",
		`steps.a.outcome`:                        "0: a condition is true or false; this is of type string (compare it with something, such as … > 0.9)",
		`steps.a.output.took > 5`:                `20: duration > integer: these do not go together (write a duration as duration("30s"))`,
		`not count`:                              "0: not does not work on integer",
		`steps.a.outcome ? true : false`:         "8: what stands before ? must be true or false, not of type string",
		`count matches "x"`:                      "6: integer matches string: these do not go together",
		`alert.labels.env matches "("`:           "17: error parsing regexp: missing closing ): `(`",
		`any(list, #)`:                           "10: what is asked of each item must be true or false, not integer",
		`any(count, true)`:                       "4: any needs a list, not integer",
		`duration("5 minutes") < duration`:       `9: "5 minutes" is not a duration such as 500ms, 30s or 1h30m`,
		`now > date("2026-13-01")`:               "11: invalid date 2026-13-01",
		`int("x") > 1`:                           `4: "x" is not a number`,
		`steps`:                                  "0: steps is no value by itself (name what you want of it: steps.NAME)",
		`steps[alert.labels.env].outcome == ""`:  "0: steps is no value by itself (name what you want of it: steps.NAME)",
		`len(steps) > 0`:                         "4: steps is no value by itself (name what you want of it: steps.NAME)",
		`$env["steps"]["b"].x == 1`:              "0: $env is not part of conditions (name the value itself)",
		`now() > now`:                            `0: there is no function "now" (now is a value: write it without ())`,
		`let a = 1; a > 0`:                       "4: let and ; are not part of conditions (write the value out where it is used)",
		`2 ** 400 > 1`:                           "2: ** is not part of conditions",
		`any(list, any(list, any(list, # > 0)))`: "0: the functions over lists nest deeper than 2 levels",
		"count >\n\n  steps.a.outcome":           "6: integer > string: these do not go together",
		strings.Repeat("(", 5000):                "0: the expression has 5000 bytes; the limit is 4096",
		"count == \xff":                          "0: the expression is not valid UTF-8",
	} {
		_, err := expression.Bool(source, testEnv)
		var at *expression.Error
		if !errors.As(err, &at) {
			t.Errorf("%s: %v", source, err)
			continue
		}
		got := fmt.Sprintf("%d: %s", at.Offset, at.Text)
		if at.Hint != "" {
			got += " (" + at.Hint + ")"
		}
		if got != want {
			t.Errorf("%q:\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestFunctionsThatAreNotPartOfTheLanguage(t *testing.T) {
	for _, call := range []string{
		"reduce(list, # + #acc)", "keys(alert.labels)", "values(alert.labels)", "toPairs(alert.labels)", "mean(list)", "median(list)",
		`repeat("a", 9)`, "toJSON(list)", `timezone("UTC")`, "groupBy(list, #)", "nothing(1)", `get(alert, "labels")`,
	} {
		if _, err := expression.Any(call, testEnv); err == nil || !strings.Contains(err.Error(), "there is no function") {
			t.Errorf("%s: %v", call, err)
		}
	}
	for _, name := range expression.Functions() {
		_, err := expression.Any(name+"()", testEnv)
		if err != nil && strings.Contains(err.Error(), "there is no function") {
			t.Errorf("%s is listed and refused: %v", name, err)
		}
	}
}

func TestNestingIsRefusedBeforeTheStackIsSpent(t *testing.T) {
	for name, source := range map[string]string{
		"parentheses": strings.Repeat("(", 2000) + "1" + strings.Repeat(")", 2000),
		"not":         strings.Repeat("!", 4000) + "true",
		"minus":       strings.Repeat("-", 4000) + "1",
		"members":     "json" + strings.Repeat(".a", 2000),
		"brackets":    strings.Repeat("[", 2000) + strings.Repeat("]", 2000),
		"ternary":     strings.Repeat("true ? 1 : ", 370) + "1",
		"calls":       strings.Repeat("len(", 1000) + strings.Repeat(")", 1000),
		"sum":         strings.Repeat("1 + ", 1000) + "1",
	} {
		_, err := expression.Any(source, testEnv)
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegularExpressionsCanNotRunAway(t *testing.T) {
	program, err := expression.Bool(`alert.labels.long matches "^(a+)+$" and not (alert.labels.long matches "(a*)*b")`, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if yes, err := program.True(testValues()); err != nil || !yes {
		t.Errorf("got %v, %v", yes, err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("took %s", took)
	}
}

// A program gives the same answer whatever ran before it, or runs beside it.
func TestProgramsDoNotDisturbEachOther(t *testing.T) {
	sources := []string{
		`count == 7`, `steps.a.output.missing > 1`, `len(1..1000000) > 0`, `any(list, # == 999)`,
		`len(filter(list, # > 10)) == 989`, `json.nothing.deeper == 1`, `steps.a.output.value / 0 > 1`,
	}
	programs := make([]*expression.Program, len(sources))
	want := make([]string, len(sources))
	for i, source := range sources {
		var err error
		if programs[i], err = expression.Bool(source, testEnv); err != nil {
			t.Fatal(err)
		}
		want[i] = fmt.Sprint(programs[i].True(testValues()))
	}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			values := testValues()
			for n := range 35 {
				i := (n*7 + worker) % len(sources)
				if got := fmt.Sprint(programs[i].True(values)); got != want[i] {
					t.Errorf("%s: %s, want %s", sources[i], got, want[i])
				}
			}
		})
	}
	all.Wait()
}

func TestConstantConditions(t *testing.T) {
	for source, want := range map[string]string{
		"true": "true true", "false": "false true", "1 > 2": "false true", "not false": "true true",
		"false && count > 1": "false true", "count > 1 and false": "false true", "true or count > 1": "true true",
		"any([1, 2], # > 1)": "true true", `duration("1m") > duration("1s")`: "true true",
		"count > 1": "false false", "true && count > 1": "false false", "not (count > 1)": "false false", "1 / 0 > 1": "false false", "5": "false false",
	} {
		s, err := expression.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.Constant()); got != want {
			t.Errorf("%s: %s, want %s", source, got, want)
		}
	}
}

func TestReferences(t *testing.T) {
	for source, want := range map[string]string{
		`steps.release.outcome != "fixed"`:        "0:steps.release.outcome",
		`steps["release"].output.series[0].value`: "0:steps.release.output.series",
		`steps[params.x].outcome`:                 "0:steps 6:params.x",
		`steps?.a?.b == params.x`:                 "0:steps.a.b 15:params.x",
		`any(steps.a.output.list, # > params.n)`:  "4:steps.a.output.list 29:params.n",
		`duration("1s") < duration`:               "17:duration",
		`now.Sub(alert.starts_at)`:                "0:now.Sub 8:alert.starts_at",
		`"é" == alert.name`:                       "8:alert.name",
		`1 + `:                                    "",
	} {
		var got []string
		for _, ref := range expression.References(source) {
			got = append(got, fmt.Sprintf("%d:%s", ref.Offset, strings.Join(ref.Path, ".")))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", source, got, want)
		}
	}
}

func TestComparisons(t *testing.T) {
	for source, want := range map[string]string{
		`steps.a.outcome == "fixed"`:            "steps.a.outcome 19:fixed",
		`"fixed" != steps.a.outcome`:            "steps.a.outcome 0:fixed",
		`steps.a.outcome in ["done", "failed"]`: "steps.a.outcome 20:done 28:failed",
		`not (steps.a.outcome not in ["x"])`:    "steps.a.outcome 29:x",
		`"maintenance" not in windows`:          "in windows 0:maintenance",
		`alert.labels.env == params.env`:        "",
	} {
		s, err := expression.Parse(source)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range s.Comparisons {
			if c.Inside {
				got = append(got, "in")
			}
			got = append(got, strings.Join(c.Path, "."))
			for _, text := range c.Texts {
				got = append(got, fmt.Sprintf("%d:%s", text.Offset, text.Value))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", source, got, want)
		}
	}
}
