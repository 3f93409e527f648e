package document_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/document"
)

func parseOne(t *testing.T, src string) *document.Node {
	t.Helper()
	nodes, problems := document.Parse("f.yaml", []byte(src))
	if len(problems) > 0 || len(nodes) != 1 {
		t.Fatalf("%q: %d documents, %v", src, len(nodes), problems)
	}
	return nodes[0]
}

func TestEveryDocumentOfAFileIsRead(t *testing.T) {
	for src, want := range map[string]int{
		"":                  0,
		"# nothing\n":       0,
		"---\n---\n":        0,
		"a: b":              1,
		"a: b\n---\nc: d\n": 2,
		"---\na: b\n---\n---\n# c\n---\nd: e\n...\n---\nf: g": 3,
		"a: b\n---\n# only a comment\n---\nc: d\n":            2,
		"a: b\n...\nc: d\n":                                   2,
		"a: |\n  ---\n  x\n---\nb: c\n":                       2,
		"a: '---'\n":                                          1,
	} {
		nodes, problems := document.Parse("f.yaml", []byte(src))
		if len(problems) > 0 || len(nodes) != want {
			t.Errorf("%q: %d documents, want %d; %v", src, len(nodes), want, problems)
		}
	}
}

func TestScalars(t *testing.T) {
	for src, want := range map[string]any{
		"1": int64(1), "-5": int64(-5), "0x1F": int64(31), "1_000": int64(1000), "9223372036854775807": int64(1<<63 - 1),
		"1.5": 1.5, "1.0": 1.0, "true": true, "True": true, "null": nil, "~": nil, "": nil,
		"yes": "yes", "on": "on", "'1'": "1", `"true"`: "true", "2026-01-02": "2026-01-02", "12:30": "12:30", "30s": "30s",
		"a#b": "a#b",
	} {
		if got := parseOne(t, "k: "+src).Get("k").Value(); got != want {
			t.Errorf("%q is %T(%v), want %T(%v)", src, got, got, want, want)
		}
	}
}

func TestWhatIsNotPartOfDocuments(t *testing.T) {
	for src, want := range map[string]string{
		"a: &x b\nc: *x":              "f.yaml:1:4 yaml-feature, f.yaml:2:4 yaml-feature",
		"a: {<<: {b: c}}":             "f.yaml:1:5 yaml-feature",
		"a: !!str 1":                  "f.yaml:1:4 yaml-feature",
		"? a\n: b":                    "f.yaml:1:1 yaml-feature",
		"%YAML 1.2\n---\na: b":        "f.yaml:1:1 yaml-feature",
		"a: .inf":                     "f.yaml:1:4 yaml-feature",
		"a: 010":                      "f.yaml:1:4 octal",
		"b: c\na: b\xff":              "f.yaml:2:5 syntax",
		"a: b\rc":                     "f.yaml:1:5 syntax",
		"a: \x1b[2J":                  "f.yaml:1:4 syntax",
		"b: c\na: \x00":               "f.yaml:2:4 syntax",
		"a: [b\nc: d":                 "f.yaml:2:1 syntax",
		"a:\n\tb: c":                  "f.yaml:2:1 syntax",
		"a: 'b":                       "f.yaml:1:4 syntax",
		"a: b\n---\nc: [\n---\nd: 'e": "f.yaml:3:4 syntax, f.yaml:5:4 syntax",
	} {
		_, problems := document.Parse("f.yaml", []byte(src))
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%s:%d:%d %s", p.File, p.Line, p.Col, p.Code))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%q: %v, want %s", src, got, want)
		}
	}
}

// Hostile files are refused, and soon: the parser takes quadratic time for some
// of these and all memory for others.
func TestHostileDocuments(t *testing.T) {
	quarter := func(one string) string { return strings.Repeat(one, 1<<17/len(one)) }
	for name, src := range map[string]string{
		"deep":       strings.Repeat("[", 100_000),
		"deep maps":  strings.Repeat("{a: ", 1000),
		"indent":     nested(300),
		"dashes":     quarter("- "),
		"few dashes": strings.Repeat("- ", 100) + "a",
		"questions":  quarter("? "),
		"tags":       quarter("!!a "),
		"anchors":    quarter("&a "),
		"aliases":    quarter("*a "),
		"colons":     quarter("a: "),
		"lines":      quarter("- a\n"),
		"words":      "a: [" + quarter("x, ") + "]",
		"documents":  quarter("---\na: b\n"),
		"bomb":       "a: &a [x]\nb: [*a, *a]\n",
		"large":      strings.Repeat("a", document.MaxSize+1),
	} {
		began := time.Now()
		_, problems := document.Parse("f.yaml", []byte(src))
		if len(problems) == 0 {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: took %s", name, took)
		}
	}
}

func TestLargeDocumentsAreRead(t *testing.T) {
	var keys strings.Builder
	for i := range 3_000 {
		fmt.Fprintf(&keys, "key%d: value\n", i)
	}
	for name, src := range map[string]string{
		"keys": keys.String(), "text": "a: |\n" + strings.Repeat("  some text\n", 20_000), "list": "a: [" + strings.Repeat("x, ", 5_000) + "]",
	} {
		if _, problems := document.Parse("f.yaml", []byte(src)); len(problems) > 0 {
			t.Errorf("%s: %v", name, problems)
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
	f.Add([]byte("a: >-\n\n  b\n    c\n---\n- \"x\\\n y\"\n...\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		nodes, problems := document.Parse("f.yaml", src)
		lines := strings.Count(string(src), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines+1 || p.Col < 1 {
				t.Errorf("a problem at %d:%d of %d lines: %s", p.Line, p.Col, lines, p)
			}
		}
		for _, n := range nodes {
			var s sample
			document.Decode(n, &s)
			document.FromValue(n.Value())
			places(t, n, lines)
		}
	})
}

// places asks for the place of every byte of every string.
func places(t *testing.T, n *document.Node, lines int) {
	for i := range min(len(n.Text), 100) {
		if at := n.PlaceOf(i); at.Line < 1 || at.Line > lines+1 || at.Col < 1 {
			t.Errorf("byte %d of %q is at %s, of %d lines", i, n.Text, at, lines)
		}
	}
	for _, item := range n.Items {
		places(t, item, lines)
	}
	for _, e := range n.Entries {
		places(t, e.Value, lines)
	}
}
