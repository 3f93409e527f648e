// Package diag holds what is wrong with a document and where: the one problem
// type that every reader of documents reports in.
package diag

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake at one place. Line and Col count from 1; a Line of 0
// means the document as a whole.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Col  int    `json:"col"`
	Code string `json:"code"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// String is the problem in one line: file:line:col: text (code).
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s (%s)", p.File, p.Line, p.Col, p.Text, p.Code)
}

// List is the problems of a document or of a set of them.
type List []Problem

// Add appends a problem at a place.
func (l *List) Add(at Place, code, text, hint string) {
	*l = append(*l, Problem{File: at.File, Line: at.Line, Col: at.Col, Code: code, Text: text, Hint: hint})
}

// Addf is Add with a formatted text and no hint.
func (l *List) Addf(at Place, code, format string, args ...any) {
	l.Add(at, code, fmt.Sprintf(format, args...), "")
}

// Sort puts the problems in the order of their places and drops repeats, so
// that the same input always prints the same report.
func (l *List) Sort() {
	slices.SortStableFunc(*l, func(a, b Problem) int {
		return cmp.Or(
			strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col),
			strings.Compare(a.Code, b.Code),
			strings.Compare(a.Text, b.Text),
		)
	})
	*l = slices.Compact(*l)
}

// Err is the list as an error, or nil when it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return &Error{Problems: l}
}

// Error carries all problems through code that passes errors.
type Error struct{ Problems List }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Place is a position in a file.
type Place struct {
	File string
	Line int
	Col  int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col) }
