package document_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type inner struct {
	Every model.Duration `json:"every" default:"5s" min:"1s" max:"1m" doc:"Pause."`
	Mode  string         `json:"mode" enum:"on|off" optional:"true"`
}

type sample struct {
	Name  string            `json:"name" pattern:"^[a-z-]+$" doc:"Name of it."`
	Count int               `json:"count" min:"1" max:"20" default:"3"`
	Ratio float64           `json:"ratio" optional:"true"`
	Tags  []string          `json:"tags" optional:"true" max:"2"`
	Attrs map[string]string `json:"attrs" optional:"true"`
	Inner *inner            `json:"inner" optional:"true"`
	Free  map[string]any    `json:"free" optional:"true"`
}

func decode(t *testing.T, src string) (sample, diag.List) {
	t.Helper()
	nodes, problems := document.Parse("f.yaml", []byte(src))
	var s sample
	for _, n := range nodes {
		problems = append(problems, document.Decode(n, &s)...)
	}
	problems.Sort()
	return s, problems
}

func TestDecodeFillsAndDefaults(t *testing.T) {
	s, problems := decode(t, "name: a-b\nratio: 2\ntags: [x]\nattrs: {a: b}\ninner: {mode: on}\nfree: {n: 1, deep: {l: [1.5, true, null]}}\n")
	if len(problems) != 0 {
		t.Fatal(problems.Err())
	}
	if s.Count != 3 || s.Inner.Every.String() != "5s" || s.Inner.Mode != "on" || s.Ratio != 2 || s.Free["n"] != int64(1) {
		t.Errorf("decoded %+v %+v", s, s.Inner)
	}
}

func TestDecodeReportsEverythingWithItsPlace(t *testing.T) {
	_, problems := decode(t, `nmae: x
count: 40
ratio: "1"
tags: [a, b, c]
attrs: {a: 1}
inner:
  every: 5 minutes
  mode: maybe
  mode: on
`)
	want := []string{
		`f.yaml:1:1: the document needs the key "name" (missing-key)`,
		`f.yaml:1:1: unknown key "nmae" in the document (unknown-key)`,
		`f.yaml:2:8: count must be at most 20 (too-large)`,
		`f.yaml:3:8: ratio must be a number, not the string "1" (wrong-type)`,
		`f.yaml:4:7: tags must be at most 2 items (too-large)`,
		`f.yaml:5:12: attrs.a must be a string, not the integer "1" (wrong-type)`,
		`f.yaml:7:10: every must be a duration such as 30s, 5m or 1h30m, not the string "5 minutes" (wrong-type)`,
		`f.yaml:8:9: mode can not be "maybe" (not-in-enum)`,
		`f.yaml:9:3: key "mode" is here twice; it is on line 8 already (duplicate-key)`,
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHintsOfTheDecoder(t *testing.T) {
	for src, want := range map[string]string{
		"nmae: x\nname: y":           `did you mean "name"?`,
		"zzzzzz: x\nname: y":         "known: name, count, ratio, tags, attrs, inner, free",
		"name: 12":                   "put it in quotes: '12'",
		"name: y\ninner: {eery: 1s}": `did you mean "every"?`,
		"count: 1":                   "Name of it.",
	} {
		_, problems := decode(t, src)
		if len(problems) == 0 || problems[0].Hint != want {
			t.Errorf("%q: %+v, want the hint %q", src, problems, want)
		}
	}
}

func TestBoundsAreSaidInTheirUnit(t *testing.T) {
	for src, want := range map[string]string{
		"inner: {every: 100ms}": "every must be at least 1s",
		"inner: {every: 1h}":    "every must be at most 1m",
		"tags: [a, b, c]":       "tags must be at most 2 items",
		"count: 0":              "count must be at least 1",
	} {
		_, problems := decode(t, "name: a\n"+src)
		if len(problems) != 1 || problems[0].Text != want {
			t.Errorf("%q: %v, want %q", src, problems, want)
		}
	}
}

func TestZeroDurationNeedsNoUnit(t *testing.T) {
	var v struct {
		Hold model.Duration `json:"hold"`
	}
	for src, valid := range map[string]bool{"hold: 0": true, "hold: '0'": true, "hold: 5": false, "hold: 0.0": false, "hold: true": false, "hold:": false} {
		nodes, problems := document.Parse("f.yaml", []byte(src))
		problems = append(problems, document.Decode(nodes[0], &v)...)
		if (len(problems) == 0) != valid {
			t.Errorf("%s: %v", src, problems)
		}
	}
}

func TestNullIsAbsentWhereAbsentIsAllowed(t *testing.T) {
	s, problems := decode(t, "name: a\ncount:\ntags: ~\ninner: null")
	if len(problems) != 0 || s.Count != 3 || s.Tags != nil || s.Inner != nil {
		t.Errorf("decoded %+v, %v", s, problems)
	}
	if _, problems := decode(t, "name:"); len(problems) != 1 || problems[0].Code != "wrong-type" {
		t.Errorf("a required null: %v", problems)
	}
}

func TestValuesComeBackFromJSON(t *testing.T) {
	for _, v := range []any{int64(7), 1.5, "x", true, nil, []any{int64(1)}, map[string]any{"a": int64(1)}} {
		if got := document.FromValue(v).Value(); !reflect.DeepEqual(got, v) {
			t.Errorf("%#v became %#v", v, got)
		}
	}
	for v, want := range map[any]any{
		float64(3): int64(3), int(4): int64(4), 1e300: 1e300, 90 * time.Second: "1m30s",
		time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC): "2026-01-02T03:04:05Z",
	} {
		if got := document.FromValue(v).Value(); got != want {
			t.Errorf("%#v became %#v, want %#v", v, got, want)
		}
	}
	if got := document.FromValue(math.Inf(1)).Kind; got != document.Float {
		t.Errorf("infinity became a %s", got)
	}
}

func TestIntegersSurviveJSON(t *testing.T) {
	src := document.Values{"big": int64(9007199254740993), "deep": []any{map[string]any{"n": int64(-1), "f": 1.5}}, "none": nil}
	raw, err := json.Marshal(src)
	if err != nil {
		t.Fatal(err)
	}
	var back document.Values
	if err := json.Unmarshal(raw, &back); err != nil || !reflect.DeepEqual(back, src) {
		t.Errorf("%#v came back as %#v, %v", src, back, err)
	}
	if err := json.Unmarshal([]byte("null"), &back); err != nil || back != nil {
		t.Errorf("null became %#v, %v", back, err)
	}
	for _, wrong := range []string{"[1]", "5", `"a"`} {
		if err := json.Unmarshal([]byte(wrong), &back); err == nil {
			t.Errorf("%s became %#v", wrong, back)
		}
	}
}
