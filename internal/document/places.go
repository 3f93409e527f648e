package document

import (
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"github.com/runbook-engine/runbook/internal/diag"
)

// flowPlaces maps the bytes of a plain or quoted string on one line to their
// columns, so that a mistake in a condition is reported where it stands. A
// string over several lines gives nil.
func (b *builder) flowPlaces(t *token.Token, value string, at diag.Place) []diag.Place {
	if at.Line > len(b.lines) || value == "" {
		return nil
	}
	line := []rune(b.lines[at.Line-1])
	if at.Col-1 >= len(line) {
		return nil
	}
	rest := line[at.Col-1:]
	width := plainWidth
	switch t.Type {
	case token.SingleQuoteType:
		rest, at.Col, width = rest[1:], at.Col+1, singleQuotedWidth
	case token.DoubleQuoteType:
		rest, at.Col, width = rest[1:], at.Col+1, doubleQuotedWidth
	}
	places := make([]diag.Place, 0, len(value))
	for _, r := range value {
		n := width(rest)
		if n == 0 || n > len(rest) {
			return nil
		}
		for range utf8.RuneLen(r) {
			places = append(places, at)
		}
		rest, at.Col = rest[n:], at.Col+n
	}
	return places
}

func plainWidth(rest []rune) int { return min(1, len(rest)) }

func singleQuotedWidth(rest []rune) int {
	if len(rest) > 1 && rest[0] == '\'' && rest[1] == '\'' {
		return 2
	}
	return min(1, len(rest))
}

// doubleQuotedWidth is the length of one character or escape:
// https://yaml.org/spec/1.2.2/#57-escaped-characters
func doubleQuotedWidth(rest []rune) int {
	if len(rest) < 2 || rest[0] != '\\' {
		return min(1, len(rest))
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

// blockPlaces maps the bytes of a literal block (|). The text of a folded one
// (>) does not stand in the file as it reads, so it maps line starts only where
// they still agree.
func (b *builder) blockPlaces(value string, header diag.Place) []diag.Place {
	var places []diag.Place
	lineNo := header.Line + 1
	for text := range strings.SplitAfterSeq(value, "\n") {
		if lineNo > len(b.lines) {
			return places
		}
		body := strings.TrimSuffix(text, "\n")
		indent := strings.Index(b.lines[lineNo-1], body)
		if indent < 0 {
			return places
		}
		at := diag.Place{File: header.File, Line: lineNo, Col: utf8.RuneCountInString(b.lines[lineNo-1][:indent]) + 1}
		for _, r := range text {
			for range max(1, utf8.RuneLen(r)) {
				places = append(places, at)
			}
			at.Col++
		}
		lineNo++
	}
	return places
}
