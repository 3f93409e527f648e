package document_test

import (
	"strings"
	"testing"

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

func TestPlacesInsideStrings(t *testing.T) {
	cases := []struct{ name, src, find, want string }{
		{"plain", "if: abc def\n", "def", "f.yaml:1:9"},
		{"single quoted", "if: 'it''s def'\n", "def", "f.yaml:1:12"},
		{"double quoted", `if: "a\"\u00e9 def"`, "def", "f.yaml:1:16"},
		{"literal block", "if: |\n  abc\n  x def\n", "def", "f.yaml:3:5"},
		{"wide characters", "if: é漢 def\n", "def", "f.yaml:1:8"},
	}
	for _, c := range cases {
		nodes, problems := document.Parse("f.yaml", []byte(c.src))
		if len(problems) > 0 {
			t.Fatal(problems.Err())
		}
		n := nodes[0].Get("if")
		if got := n.PlaceOf(strings.Index(n.Text, c.find)).String(); got != c.want {
			t.Errorf("%s: %q is at %s, want %s", c.name, c.find, got, c.want)
		}
	}
}

func TestHostileDocuments(t *testing.T) {
	for name, src := range map[string]string{
		"deep":   strings.Repeat("[", 100_000),
		"indent": nested(2000),
		"bomb":   "a: &a [x]\nb: [*a, *a]\n",
		"merge":  "a: {<<: {b: c}}\n",
		"nul":    "a: \x00",
		"large":  strings.Repeat("a", document.MaxSize+1),
		"syntax": "a: [b\nc: d",
		"tab":    "a:\n\tb: c",
	} {
		if _, problems := document.Parse("f.yaml", []byte(src)); len(problems) == 0 {
			t.Errorf("%s: accepted", name)
		}
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("name: a\ninner: {every: 5s}\nfree: [1, {a: b}]\n"))
	f.Add([]byte("a: |\n  b\n ? c"))
	f.Fuzz(func(t *testing.T, src []byte) {
		nodes, _ := document.Parse("f.yaml", src)
		for _, n := range nodes {
			var s sample
			document.Decode(n, &s)
			document.FromValue(n.Value())
		}
	})
}
