package expression_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

type output struct {
	Count   int               `json:"count"`
	Value   *float64          `json:"value"`
	Ratio   float64           `json:"ratio,omitempty"`
	Note    string            `json:"note,omitempty"`
	Took    model.Duration    `json:"took"`
	At      time.Time         `json:"at"`
	Labels  map[string]string `json:"labels"`
	Weights map[string]int    `json:"weights,omitempty"`
	Inner   []struct {
		Up bool `json:"up"`
	} `json:"inner"`
	Free any `json:"free"`
}

func value(t *testing.T, o output, source string) (any, error) {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	typ := shape.For[output]()
	v, err := expression.Decode(typ, raw)
	if err != nil {
		t.Fatal(err)
	}
	program, err := expression.Any(source, expression.TypeOf(typ).(expression.Env))
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return program.Eval(v.(map[string]any))
}

func TestOutputsKeepTheirTypes(t *testing.T) {
	one := 1.0
	o := output{
		Count: 1<<62 + 1, Value: &one, Took: model.Duration(90 * time.Second), At: time.Unix(5, 0).UTC(),
		Labels: map[string]string{"a": "b"}, Free: map[string]any{"n": 3, "f": 1.5, "big": int64(1<<60 + 1), "l": []any{1}},
	}
	o.Inner = append(o.Inner, struct {
		Up bool `json:"up"`
	}{true})
	for source, want := range map[string]any{
		`count`: 1<<62 + 1, `value`: 1.0, `value / 2`: 0.5, `took`: 90 * time.Second, `at`: time.Unix(5, 0).UTC(),
		`labels.a`: "b", `labels.b`: "", `labels.b == ""`: true, `inner[0].up`: true, `all(inner, .up)`: true,
		`free.n`: 3, `free.f`: 1.5, `free.big`: 1<<60 + 1, `free.l[0] == 1`: true, `took > duration("1m")`: true,
		`ratio`: 0.0, `note`: "", `len(weights)`: 0, // JSON leaves out what is zero
	} {
		if got, err := value(t, o, source); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v, want %#v", source, got, err, want)
		}
	}
}

func TestNothingIsNotZero(t *testing.T) {
	for source, want := range map[string]string{
		`value == nil`: "true", `len(inner)`: "0", `labels.a`: "", `free == nil`: "true", `free.a ?? 1`: "error",
		`value > 1`: "error", `value != 1`: "error", `value < 1`: "error",
	} {
		got, err := value(t, output{}, source)
		if (err != nil) != (want == "error") || err == nil && toText(t, got) != want {
			t.Errorf("%s: %#v, %v, want %s", source, got, err, want)
		}
	}
}

func toText(t *testing.T, v any) string {
	t.Helper()
	text, err := expression.Text(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDecodeRefusesWhatIsNoJSON(t *testing.T) {
	for _, raw := range []string{``, `{`, `{} {}`, `nonsense`} {
		if v, err := expression.Decode(shape.For[output](), []byte(raw)); err == nil {
			t.Errorf("%q gives %v", raw, v)
		}
	}
}

// What does not fit its shape must not turn into something that does.
func TestValueLeavesWhatDoesNotFit(t *testing.T) {
	for kind, values := range map[shape.Kind][]any{
		shape.Int:      {1.5, 1e300, "1", nil, true},
		shape.Float:    {"1", nil},
		shape.Duration: {"5 minutes", 5.0, nil},
		shape.Time:     {"yesterday", 5.0},
		shape.List:     {"a", map[string]any{}},
		shape.Struct:   {"a", []any{}, nil},
	} {
		for _, v := range values {
			if got := expression.Value(&shape.Type{Kind: kind, Elem: shape.For[string]()}, v); !reflect.DeepEqual(got, v) {
				t.Errorf("%#v as %s became %#v", v, kind, got)
			}
		}
	}
}

func TestFits(t *testing.T) {
	for _, c := range []struct {
		source string
		to     any
		want   bool
	}{
		{`1`, int(0), true}, {`1`, float64(0), true}, {`1.5`, int(0), false}, {`1.5`, float64(0), true}, {`"a"`, "", true}, {`1`, "", false},
		{`true`, true, true}, {`"true"`, true, false}, {`duration`, model.Duration(0), true}, {`"5m"`, model.Duration(0), true}, {`5`, model.Duration(0), false},
		{`duration`, int(0), false}, {`duration`, float64(0), false}, {`now`, time.Time{}, true}, {`list`, []int{}, true}, {`list`, "", false},
		{`json`, int(0), true}, {`alert.labels`, map[string]string{}, true},
	} {
		program, err := expression.Any(c.source, testEnv)
		if err != nil {
			t.Fatal(err)
		}
		if got := expression.Fits(program.Type(), shape.Of(reflect.TypeOf(c.to))); got != c.want {
			t.Errorf("%s (%s) in %T: %v", c.source, program.Type(), c.to, got)
		}
	}
}
