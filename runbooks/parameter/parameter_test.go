package parameter_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/parameter"
)

func declare(t *testing.T, src string) map[string]parameter.Param {
	t.Helper()
	nodes, problems := document.Parse("f.yaml", []byte(src))
	params := map[string]parameter.Param{}
	problems = append(problems, document.Decode(nodes[0], &params)...)
	problems = append(problems, parameter.Check(params, nodes[0])...)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return params
}

func alert(values map[string]string) parameter.Lookup {
	return func(from string) (string, bool) {
		v, ok := values[from]
		return v, ok
	}
}

const declared = `
name: {type: string, from: alert.labels.name, default: none}
count: {type: integer, default: 20, min: 1, max: 100}
ratio: {type: number, default: 0.5}
loud: {type: boolean, default: false}
wait: {type: duration, from: alert.annotations.wait, default: 30s, min: 1}
`

func TestByHandBeforeTheAlertBeforeTheDefault(t *testing.T) {
	params := declare(t, declared)
	for name, c := range map[string]struct {
		set   map[string]any
		alert parameter.Lookup
		want  map[string]any
	}{
		"defaults": {nil, nil, map[string]any{"name": "none", "count": int64(20), "ratio": 0.5, "loud": false, "wait": "30s"}},
		"alert": {nil, alert(map[string]string{"alert.labels.name": "orders", "alert.annotations.wait": "90s", "alert.labels.count": "7"}),
			map[string]any{"name": "orders", "count": int64(20), "ratio": 0.5, "loud": false, "wait": "1m30s"}},
		"by hand": {map[string]any{"name": "a/b", "count": "7", "ratio": "1e-3", "loud": "true", "wait": "2m"}, nil,
			map[string]any{"name": "a/b", "count": int64(7), "ratio": 0.001, "loud": true, "wait": "2m"}},
		"both": {map[string]any{"name": "mine", "count": 7.0, "ratio": json.Number("2"), "loud": true}, alert(map[string]string{"alert.labels.name": "theirs"}),
			map[string]any{"name": "mine", "count": int64(7), "ratio": 2.0, "loud": true, "wait": "30s"}},
	} {
		got, err := parameter.Resolve(params, c.set, c.alert)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %#v, %v, want %#v", name, got, err, c.want)
		}
	}
}

func TestAllThatIsWrongIsSaidAtOnce(t *testing.T) {
	params := declare(t, declared+"needed: {type: string}\nlabel: {type: string, from: alert.labels.label}\n")
	_, err := parameter.Resolve(params, map[string]any{"cuont": 1, "count": "many", "ratio": "NaN", "loud": "yes", "wait": 5, "name": "$(reboot)"}, nil)
	want := []string{
		`there is no parameter "cuont" (did you mean "count"?)`,
		`parameter count (from --set): "many" is not an integer`,
		`parameter label has no value: give it with --set label=…`,
		`parameter loud (from --set): "yes" is not true or false`,
		`parameter name (from --set): "$(reboot)" does not match`,
		`parameter needed has no value: give it with --set needed=…`,
		`parameter ratio (from --set): "NaN" is not a number`,
		`parameter wait (from --set): "5" is not a duration`,
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d problems, want %d:\n%v", len(lines), len(want), err)
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("problem %d is %q, want %q", i, lines[i], want[i])
		}
	}
	_, err = parameter.Resolve(params, nil, alert(nil))
	for _, want := range []string{"parameter label has no value: the alert has no labels.label", "parameter needed has no value: it has neither"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("for an alert: %v, want %s", err, want)
		}
	}
	if _, err = parameter.Resolve(nil, map[string]any{"a": 1}, nil); err == nil || !strings.Contains(err.Error(), "it has none") {
		t.Errorf("without parameters: %v", err)
	}
}

// Whoever can raise an alert can write its labels.
func TestHostileLabelsAreRefused(t *testing.T) {
	params := declare(t, `
plain: {type: string, from: alert.labels.v}
word: {type: string, from: alert.labels.v, pattern: "[a-z]+|x y"}
choice: {type: string, from: alert.labels.v, enum: [a, "b c"]}
count: {type: integer, from: alert.labels.v}
ratio: {type: number, from: alert.labels.v}
loud: {type: boolean, from: alert.labels.v}
wait: {type: duration, from: alert.labels.v}
`)
	accepted := map[string]string{
		"orders": "plain word", "a": "plain word choice", "b c": "choice", "x y": "word", "10.0.0.1:5432/a_b-c": "plain",
		"5": "plain count ratio", "-5": "plain count ratio", "+5": "count ratio", "1.5": "plain ratio", "1e3": "plain ratio", "0": "plain count ratio wait",
		"true": "plain word loud", "30s": "plain wait", "1h30m": "plain wait", "1.5h": "plain",
		"9223372036854775808": "plain ratio", "NaN": "plain", "Inf": "plain", "0x10": "plain", "1_000": "plain", "infinity": "plain word",
		"": "", "a b": "", "a;b": "", "$(reboot)": "", "`reboot`": "", "a' OR 1=1 --": "", `a"`: "", "a\nb": "", "a\x00": "", "a\xff": "", "é": "",
		"a\n": "", "b c\n": "", "${params.x}": "", "*": "", "../../etc": "plain", "5\n": "", " 5": "", "true ": "",
		strings.Repeat("a", 253): "plain word", strings.Repeat("a", 254): "word", strings.Repeat("a", 5000): "", strings.Repeat("9", 1_000_000): "",
	}
	for value, want := range accepted {
		var got []string
		for _, name := range []string{"plain", "word", "choice", "count", "ratio", "loud", "wait"} {
			v, err := params[name].Accept(value)
			if err == nil {
				got = append(got, name)
			}
			if err == nil && name == "ratio" && math.IsInf(v.(float64), 0) {
				t.Errorf("%q became infinite", value)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("%q: the error has %d bytes", document.Shorten(value, 20), len(err.Error()))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is accepted as %v, want %s", document.Shorten(value, 60), got, want)
		}
	}
}

// What a person sets may hold anything but what is no text.
func TestTextByHand(t *testing.T) {
	p := declare(t, "text: {type: string}")["text"]
	for value, want := range map[any]bool{
		"a b; $(c) \"d\"\n\te 漢": true, "": true, "a\x00": false, "a\x1b[2J": false, "\xff": false, strings.Repeat("a", 4097): false, 5: false, true: false, nil: false,
	} {
		if _, err := p.Accept(value); (err == nil) != want {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestBounds(t *testing.T) {
	params := declare(t, "n: {type: integer, min: 1, max: 5}\nd: {type: duration, min: 1, max: 60}\nf: {type: number, min: -0.5}")
	for _, c := range []struct {
		name  string
		value any
		want  string
	}{
		{"n", 1, ""}, {"n", 5, ""}, {"n", 0, "0 is below the least value, 1"}, {"n", 6.0, "6 is above the greatest value, 5"}, {"n", 1.5, `"1.5" is not an integer`},
		{"d", "1s", ""}, {"d", "1m", ""}, {"d", "999ms", "0.999 seconds is below the least value, 1"}, {"d", "61s", "61 seconds is above the greatest value, 60"},
		{"f", -0.5, ""}, {"f", "-0.6", "-0.6 is below the least value, -0.5"},
	} {
		_, err := params[c.name].Accept(c.value)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
			t.Errorf("%s=%v: %v, want %q", c.name, c.value, err, c.want)
		}
	}
}

// A declaration that comes out of a history is not compiled, and works.
func TestPatternOfADeclarationFromJSON(t *testing.T) {
	raw, err := json.Marshal(declare(t, "v: {type: string, pattern: 'a+'}")["v"])
	if err != nil {
		t.Fatal(err)
	}
	var p parameter.Param
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Accept("aa"); err != nil {
		t.Error(err)
	}
	if _, err := p.Accept("aab"); err == nil {
		t.Error("the pattern is not anchored")
	}
}
