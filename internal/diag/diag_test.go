package diag_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/diag"
)

func at(file string, line, col int) diag.Place { return diag.Place{File: file, Line: line, Col: col} }

func TestSortByPlaceAndDropRepeats(t *testing.T) {
	var l diag.List
	l.Add(at("b.yaml", 1, 1), "z", "last", "")
	l.Add(at("a.yaml", 10, 1), "y", "third", "")
	l.Add(at("a.yaml", 2, 7), "x", "second", "")
	l.Add(at("a.yaml", 2, 3), "x", "first", "")
	l.Add(at("a.yaml", 2, 3), "x", "first", "")
	l.Sort()
	var texts []string
	for _, p := range l {
		texts = append(texts, p.Text)
	}
	if got := strings.Join(texts, " "); got != "first second third last" {
		t.Errorf("sorted to %q", got)
	}
}

func TestErrIsNilWithoutProblems(t *testing.T) {
	if err := (diag.List{}).Err(); err != nil {
		t.Errorf("an empty list is the error %v", err)
	}
	var l diag.List
	l.Addf(at("a.yaml", 1, 2), "code", "%d things", 2)
	l.Addf(at("a.yaml", 3, 4), "code", "more")
	if got := l.Err().Error(); got != "a.yaml:1:2: 2 things (code)\na.yaml:3:4: more (code)" {
		t.Errorf("the error is %q", got)
	}
}

func text(t *testing.T, source string, problems ...diag.Problem) string {
	t.Helper()
	var b strings.Builder
	if err := diag.WriteText(&b, problems, diag.Sources{"f": []byte(source)}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCaretStandsUnderItsColumn(t *testing.T) {
	for name, c := range map[string]struct {
		source string
		col    int
		want   string
	}{
		"plain":      {"ab: cd", 5, "    1 | ab: cd\n      |     ^\n"},
		"tab":        {"a\tb", 3, "    1 | a\tb\n      |  \t^\n"},
		"wide":       {"漢é: x", 5, "    1 | 漢é: x\n      |      ^\n"},
		"crlf":       {"ab\r\ncd", 1, "    1 | ab\n      | ^\n"},
		"past end":   {"ab", 9, "    1 | ab\n      |   ^\n"},
		"escape":     {"a\x1b[2Jb", 2, "    1 | a�[2Jb\n      |  ^\n"},
		"right-left": {"a\u202eb", 3, "    1 | a�b\n      |   ^\n"},
	} {
		got := text(t, c.source, diag.Problem{File: "f", Line: 1, Col: c.col, Code: "c", Text: "t"})
		if want := "f:1:" + string(rune('0'+c.col)) + ": t (c)\n" + c.want; got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestLongLineIsShownAroundTheCaret(t *testing.T) {
	source := strings.Repeat("x", 5000) + "HERE" + strings.Repeat("y", 5000)
	got := strings.Split(text(t, source, diag.Problem{File: "f", Line: 1, Col: 5001, Code: "c", Text: "t"}), "\n")
	line, caret := []rune(got[1]), strings.Index(got[2], "^")
	if len(line) > 200 || string(line[caret:caret+4]) != "HERE" {
		t.Errorf("got\n%s\n%s", got[1], got[2])
	}
}

func TestTextOfAProblemCanNotDriveTheTerminal(t *testing.T) {
	got := text(t, "", diag.Problem{File: "f", Line: 0, Col: 0, Code: "c", Text: "a\x1b]0;b\nc", Hint: "d\re"})
	if strings.ContainsAny(got, "\x1b\r") || strings.Count(got, "\n") != 2 {
		t.Errorf("printed %q", got)
	}
}

func TestJSONOfNothingIsAnArray(t *testing.T) {
	var b strings.Builder
	if err := diag.WriteJSON(&b, nil); err != nil || strings.TrimSpace(b.String()) != "[]" {
		t.Errorf("printed %q, %v", b.String(), err)
	}
	b.Reset()
	problem := diag.Problem{File: "f", Line: 1, Col: 2, Code: "c", Text: "<t>"}
	if err := diag.WriteJSON(&b, diag.List{problem}); err != nil {
		t.Fatal(err)
	}
	var back []diag.Problem
	if err := json.Unmarshal([]byte(b.String()), &back); err != nil || len(back) != 1 || back[0] != problem {
		t.Errorf("read back %v, %v", back, err)
	}
}

func TestGitHubCommandsAreEscaped(t *testing.T) {
	var b strings.Builder
	problem := diag.Problem{File: "a:b,c.yaml", Line: 0, Col: 0, Code: "c", Text: "50%\n::warning::x", Hint: "h"}
	if err := diag.WriteGitHub(&b, diag.List{problem}); err != nil {
		t.Fatal(err)
	}
	want := "::error file=a%3Ab%2Cc.yaml,line=1,col=1,title=c::50%25%0A::warning::x%0Ahint: h\n"
	if b.String() != want {
		t.Errorf("printed %q, want %q", b.String(), want)
	}
}
