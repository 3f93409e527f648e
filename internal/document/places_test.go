package document_test

import (
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/document"
)

func TestPlacesInsideStrings(t *testing.T) {
	cases := []struct{ name, src, find, want string }{
		{"plain", "if: abc def\n", "def", "1:9"},
		{"plain over lines", "if: abc\n  x\n\n   def\n", "def", "4:4"},
		{"plain in a flow", "{if: abc def, b: c}", "def", "1:10"},
		{"plain in a flow over lines", "{if: abc\n  def}", "def", "2:3"},
		{"single quoted", "if: 'it''s def'\n", "def", "1:12"},
		{"single quoted over lines", "if: 'it''s\n  x  def'\n", "def", "2:6"},
		{"double quoted", `if: "a\"\u00e9 def"`, "def", "1:16"},
		{"double quoted, all escapes", `if: "\t\x41\U0001F600\/ def"`, "def", "1:25"},
		{"double quoted over lines", "if: \"a\\\\\n  x\n\n  def\"", "def", "4:3"},
		{"double quoted, joined lines", "if: \"a \\\n   def\"", "def", "2:4"},
		{"double quoted, escaped newline", `if: "a\n def"`, "def", "1:10"},
		{"literal block", "if: |\n  abc\n  x def\n", "def", "3:5"},
		{"literal block, moved in", "if: |\n  abc\n    def\n", "def", "3:5"},
		{"literal block, blank lines", "if: |-\n\n  abc\n\n  def", "def", "5:3"},
		{"literal block, indicator", "if: |2\n    abc\n   def\n", "def", "3:4"},
		{"literal block, deep", "a:\n  - if: |\n      abc\n      def\n", "def", "4:7"},
		{"folded block", "if: >\n  abc\n  x def\n", "def", "3:5"},
		{"folded block, paragraphs", "if: >-\n\n  abc\n\n\n  x\n  def\n", "def", "7:3"},
		{"folded block, moved in", "if: >\n  abc\n    more\n  def\n", "def", "4:3"},
		{"windows line ends", "a: b\r\nif: |\r\n  abc\r\n  def\r\n", "def", "4:3"},
		{"windows line ends, quoted", "if: \"abc\r\n  def\"\r\n", "def", "2:3"},
		{"byte order mark", "\ufeffif: abc def", "def", "1:9"},
		{"wide characters", "if: é漢 def\n", "def", "1:8"},
		{"wide characters before", "{é漢: x, if: abc def}", "def", "1:17"},
		{"end", "if: abc", "", "1:8"},
		{"end of quoted", "if: 'abc'", "", "1:9"},
		{"comment after", "if: abc def # ghi", "def", "1:9"},
	}
	for _, c := range cases {
		nodes, problems := document.Parse("f.yaml", []byte(c.src))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", c.name, problems.Err())
		}
		n := nodes[0]
		if n.Get("a") != nil && len(n.Get("a").Items) > 0 {
			n = n.Get("a").Items[0]
		}
		n = n.Get("if")
		offset := strings.Index(n.Text, c.find)
		if c.find == "" {
			offset = len(n.Text)
		}
		if got := n.PlaceOf(offset).String(); got != "f.yaml:"+c.want {
			t.Errorf("%s: %q of %q is at %s, want %s", c.name, c.find, n.Text, got, c.want)
		}
	}
}

func TestPlaceOfWhatIsNotThereIsTheStart(t *testing.T) {
	nodes, _ := document.Parse("f.yaml", []byte("a: 'bc'"))
	n := nodes[0].Get("a")
	for _, offset := range []int{-1, 3, 1000} {
		if got := n.PlaceOf(offset).String(); got != "f.yaml:1:4" {
			t.Errorf("byte %d is at %s", offset, got)
		}
	}
	if got := document.FromValue("abc").PlaceOf(1); got.Line != 0 {
		t.Errorf("a value without a file is at %s", got)
	}
}

func TestFindEndsAtTheLastNodeThereIs(t *testing.T) {
	nodes, _ := document.Parse("f.yaml", []byte("steps:\n  - id: a\n  - do: b\n"))
	for want, path := range map[string][]any{
		"f.yaml:2:9": {"steps", 0, "id"},
		"f.yaml:3:5": {"steps", 1, "id"},
		"f.yaml:2:3": {"steps", 7, "id"},
		"f.yaml:1:1": {"nothing"},
	} {
		if got := nodes[0].Find(path...).At.String(); got != want {
			t.Errorf("%v is at %s, want %s", path, got, want)
		}
	}
	if got := nodes[0].KeyPlace("steps").String(); got != "f.yaml:1:1" {
		t.Errorf("the key is at %s", got)
	}
}
