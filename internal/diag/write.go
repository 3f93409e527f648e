package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Sources is the text of each file by its name, for excerpts.
type Sources map[string][]byte

// WriteText prints each problem for a person: the line that grep and editors
// understand, the excerpt with a caret, and the hint.
func WriteText(w io.Writer, list List, sources Sources) error {
	var b strings.Builder
	for _, p := range list {
		fmt.Fprintln(&b, p)
		if line, ok := sources.line(p); ok {
			fmt.Fprintf(&b, "%5d | %s\n      | %s^\n", p.Line, line, caretIndent(line, p.Col))
		}
		if p.Hint != "" {
			fmt.Fprintf(&b, "      = hint: %s\n", p.Hint)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteJSON prints the problems as an array, empty when there are none.
func WriteJSON(w io.Writer, list List) error {
	if list == nil {
		list = List{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(list)
}

// WriteGitHub prints workflow commands, which GitHub shows beside the lines of
// a pull request:
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
func WriteGitHub(w io.Writer, list List) error {
	var b strings.Builder
	for _, p := range list {
		text := p.Text
		if p.Hint != "" {
			text += "\nhint: " + p.Hint
		}
		fmt.Fprintf(&b, "::error file=%s,line=%d,col=%d,title=%s::%s\n",
			escapeProperty(p.File), max(p.Line, 1), max(p.Col, 1), escapeProperty(p.Code), escapeData(text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const excerptWidth = 160

func (s Sources) line(p Problem) (string, bool) {
	src, ok := s[p.File]
	if !ok || p.Line < 1 {
		return "", false
	}
	lines := strings.Split(string(src), "\n")
	if p.Line > len(lines) {
		return "", false
	}
	line := strings.TrimRight(lines[p.Line-1], "\r")
	if r := []rune(line); len(r) > excerptWidth {
		line = string(r[:excerptWidth]) + "…"
	}
	return strings.Map(printable, line), true
}

// printable keeps a hostile document from driving the reader's terminal.
func printable(r rune) rune {
	if r != '\t' && (r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0)) {
		return '�'
	}
	return r
}

// caretIndent repeats the tabs of the line, so that the caret stands under its
// column whatever the width of a tab.
func caretIndent(line string, col int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= col-1 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteRune(' ')
		}
	}
	return b.String()
}

func escapeData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func escapeProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
