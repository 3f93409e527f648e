package document

import (
	"strings"
	"unicode/utf8"

	"github.com/runbook-engine/runbook/internal/diag"
)

// style is how a string stands in the file.
type style int

const (
	plain style = iota
	singleQuoted
	doubleQuoted
	literal // |
	folded  // >
)

// source is the text that nodes were read from.
type source struct {
	file  string
	text  string
	lines []int // offset of each line's first byte
}

func newSource(file, text string) *source {
	s := &source{file: file, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	line, _, _ := strings.Cut(s.text[s.lines[n-1]:], "\n")
	return line
}

// PlaceOf is the place of byte i of a string, so that a mistake in a condition
// is reported where it stands; i may be the length. Where the text can not be
// found in the file again it is the start of the string.
func (n *Node) PlaceOf(i int) diag.Place {
	if n.source == nil || i < 0 || i > len(n.Text) {
		return n.At
	}
	if n.style == literal {
		return n.source.inLiteral(n, i)
	}
	c, ok := n.source.start(n)
	if ok {
		ok = c.walk(n.Text, i)
	}
	if !ok {
		return n.At
	}
	return diag.Place{File: n.At.File, Line: c.line, Col: c.col}
}

// inLiteral finds a byte of a literal block, whose lines are those of the file
// without their indentation.
func (s *source) inLiteral(n *Node, i int) diag.Place {
	before := n.Text[:i]
	lastLine := before[strings.LastIndexByte(before, '\n')+1:]
	return diag.Place{
		File: n.At.File,
		Line: n.At.Line + 1 + strings.Count(before, "\n"),
		Col:  s.blockIndent(n) + utf8.RuneCountInString(lastLine) + 1,
	}
}

// blockIndent is how far the first line of a block that is not blank is moved in.
func (s *source) blockIndent(n *Node) int {
	for i, text := range strings.Split(n.Text, "\n") {
		if trimmed := strings.TrimLeft(text, " "); trimmed != "" {
			line := s.line(n.At.Line + 1 + i)
			return len(line) - len(strings.TrimLeft(line, " ")) - (len(text) - len(trimmed))
		}
	}
	return 0
}

// start is where the text of a string begins.
func (s *source) start(n *Node) (cursor, bool) {
	line, col := n.At.Line, n.At.Col
	if n.style == folded {
		line, col = line+1, 1
	}
	if line < 1 || line > len(s.lines) {
		return cursor{}, false
	}
	c := cursor{text: s.text, pos: s.lines[line-1], line: line, col: 1, style: n.style}
	for c.col < col && c.pos < len(c.text) {
		c.next()
	}
	switch n.style {
	case singleQuoted, doubleQuoted:
		c.next()
	}
	return c, true
}

// cursor is a position in a file.
type cursor struct {
	text      string
	pos       int
	line, col int
	style     style
}

func (c *cursor) rest() string { return c.text[c.pos:] }

func (c *cursor) next() {
	r, size := utf8.DecodeRuneInString(c.rest())
	c.pos += size
	c.col++
	if r == '\n' {
		c.line, c.col = c.line+1, 1
	}
}

func (c *cursor) skip(runes int) {
	for range runes {
		c.next()
	}
}

// skipBlank moves over white space and line breaks.
func (c *cursor) skipBlank() {
	for c.pos < len(c.text) && strings.IndexByte(" \t\r\n", c.text[c.pos]) >= 0 {
		c.next()
	}
}

// walk moves to where byte target of the value stands. It gives up where value
// and file do not agree.
func (c *cursor) walk(value string, target int) bool {
	i := 0
	if c.style == folded {
		c.skipBlank()
		i = blankPrefix(value)
	}
	for i < target || c.continues() {
		switch {
		case c.continues():
			c.next()
			c.skipBlank()
		case c.folds():
			c.skipBlank()
			i += blankPrefix(value[i:])
		default:
			_, size := utf8.DecodeRuneInString(value[i:])
			width := c.width(value[i:])
			if width == 0 {
				return false
			}
			c.skip(width)
			i += size
		}
	}
	return true
}

func blankPrefix(value string) int { return len(value) - len(strings.TrimLeft(value, " \n\t")) }

// continues: a backslash at the end of a line joins it to the next.
func (c *cursor) continues() bool {
	return c.style == doubleQuoted && (strings.HasPrefix(c.rest(), "\\\n") || strings.HasPrefix(c.rest(), "\\\r\n"))
}

// folds: the line ends here, and white space of the value stands for all of the
// file's up to the next text.
func (c *cursor) folds() bool {
	return strings.HasPrefix(strings.TrimLeft(c.rest(), " \t\r"), "\n")
}

// width is how many characters of the file stand for the next one of the value;
// 0 when they do not.
func (c *cursor) width(value string) int {
	rest := c.rest()
	switch {
	case c.style == singleQuoted && strings.HasPrefix(rest, "''"):
		return 2
	case c.style == doubleQuoted && strings.HasPrefix(rest, `\`):
		return escapeWidth(rest)
	}
	r, _ := utf8.DecodeRuneInString(value)
	if got, _ := utf8.DecodeRuneInString(rest); got != r || rest == "" {
		return 0
	}
	return 1
}

// escapeWidth is the length of an escape of a double-quoted string:
// https://yaml.org/spec/1.2.2/#57-escaped-characters
func escapeWidth(rest string) int {
	if len(rest) < 2 {
		return 0
	}
	switch rest[1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	default:
		return 2
	}
}
