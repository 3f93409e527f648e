package document

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/goccy/go-yaml/token"

	"github.com/runbook-engine/runbook/internal/diag"
)

// What a file may ask of the parser, which takes time and memory that grow with
// the square of some of these: a megabyte of dashes costs it all memory there
// is. Real documents are far below.
const (
	MaxSize   = 1 << 20 // bytes
	maxTokens = 50_000
	maxDepth  = 64
)

// readable checks that a file is text of a size that can be read. Its lines end
// in \n alone.
func readable(start diag.Place, src []byte) (problems diag.List) {
	if len(src) > MaxSize {
		problems.Add(start, "too-large", fmt.Sprintf("the file has %d bytes; the limit is %d", len(src), MaxSize), "split it into several files")
		return problems
	}
	if i := bytes.IndexFunc(src, isControl); i >= 0 {
		problems.Add(lineOf(start, src, i), "syntax", fmt.Sprintf("the file has the control character %U here; it is not YAML text", src[i]),
			`remove it; in a string in double quotes it can be written as an escape, such as \x1b`)
	}
	if !utf8.Valid(src) {
		problems.Add(lineOf(start, src, invalidAt(src)), "syntax", "the file has a byte here that is not UTF-8", "save it as UTF-8")
	}
	return problems
}

func isControl(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }

func invalidAt(src []byte) int {
	for i := 0; i < len(src); {
		r, size := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return 0
}

func lineOf(start diag.Place, src []byte, offset int) diag.Place {
	before := src[:offset]
	start.Line = bytes.Count(before, []byte("\n")) + 1
	start.Col = utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return start
}

// parsable checks what the parser must not be given, or what a document may not
// have.
func (b *builder) parsable(tokens token.Tokens) (problems diag.List) {
	if len(tokens) > maxTokens {
		problems.Add(b.place(tokens[maxTokens]), "too-large",
			fmt.Sprintf("the file has %d words and marks; the limit is %d", len(tokens), maxTokens), "split it into several files")
		return problems
	}
	if deep := tooDeep(tokens); deep != nil {
		problems.Addf(b.place(deep), "too-deep", "the document nests deeper than %d levels", maxDepth)
		return problems
	}
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType:
			problems.Add(b.place(t), "yaml-feature", "anchors, aliases, merge keys and tags are not part of these documents",
				"write the value out where it is used; put a text that begins with &, * or ! in quotes")
		case token.MappingKeyType:
			problems.Add(b.place(t), "yaml-feature", "keys that begin with ? are not part of these documents", "write key: value")
		case token.DirectiveType:
			problems.Add(b.place(t), "yaml-feature", "directives are not part of these documents", "put a text that begins with % in quotes")
		}
	}
	return problems
}

// tooDeep is the token at which the nesting passes the limit: of brackets, and
// of blocks, which begin at ever larger columns.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets := 0
	var blocks []int
	for _, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets = max(0, brackets-1)
		case token.DocumentHeaderType, token.DocumentEndType:
			brackets, blocks = 0, nil
		case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType:
			if brackets == 0 {
				blocks = nest(blocks, blockColumn(t))
			}
		}
		if brackets > maxDepth || len(blocks) > maxDepth {
			return t
		}
	}
	return nil
}

// blockColumn is where the block begins that a mark belongs to: at itself, or
// for a : at its key.
func blockColumn(t *token.Token) int {
	if t.Type == token.MappingValueType && t.Prev != nil && t.Prev.Position.Line == t.Position.Line {
		return t.Prev.Position.Column
	}
	return t.Position.Column
}

func nest(blocks []int, column int) []int {
	for len(blocks) > 0 && blocks[len(blocks)-1] >= column {
		blocks = blocks[:len(blocks)-1]
	}
	return append(blocks, column)
}
