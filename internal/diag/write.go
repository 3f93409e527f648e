package diag

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
)

// Sources is the text of each file by its name, for excerpts.
type Sources map[string][]byte

// WriteText prints each problem for a person: the line that grep and editors
// understand, the excerpt with a caret, and the hint.
func WriteText(w io.Writer, list List, sources Sources) error {
	var b strings.Builder
	lines := splitter{sources: sources, lines: map[string][]string{}}
	for _, p := range list {
		fmt.Fprintln(&b, printable(p.String()))
		if line, ok := lines.at(p.File, p.Line); ok {
			text, caret := excerpt(line, p.Col)
			fmt.Fprintf(&b, "%5d | %s\n      | %s^\n", p.Line, text, caret)
		}
		if p.Hint != "" {
			fmt.Fprintf(&b, "      = hint: %s\n", printable(p.Hint))
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

// splitter splits each file once, however many problems it has.
type splitter struct {
	sources Sources
	lines   map[string][]string
}

func (s splitter) at(file string, line int) (string, bool) {
	lines, split := s.lines[file]
	if !split {
		if src, known := s.sources[file]; known {
			lines = strings.Split(string(src), "\n")
		}
		s.lines[file] = lines
	}
	if line < 1 || line > len(lines) {
		return "", false
	}
	return strings.TrimRight(lines[line-1], "\r"), true
}

const (
	excerptWidth = 160 // characters shown of a line
	excerptLead  = 100 // of these, before the caret
)

// excerpt is the part of a line around a column, and what to print before a
// caret that stands under it.
func excerpt(line string, col int) (text, caret string) {
	runes := []rune(printable(line))
	at := min(max(col-1, 0), len(runes))
	before, after := "", ""
	if at > excerptWidth {
		before = "…"
		runes, at = runes[at-excerptLead:], excerptLead
	}
	if len(runes) > excerptWidth {
		after = "…"
		runes = runes[:excerptWidth]
	}
	return before + string(runes) + after, blank([]rune(before)) + blank(runes[:min(at, len(runes))])
}

// printable keeps a hostile document from driving the reader's terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// blank is as wide as the text: it repeats the tabs, whose width nobody knows,
// and minds that some characters take two columns.
func blank(text []rune) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\t' {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Repeat(" ", runewidth.RuneWidth(r)))
	}
	return b.String()
}

var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func escapeData(s string) string     { return dataEscapes.Replace(s) }
func escapeProperty(s string) string { return propertyEscapes.Replace(s) }
