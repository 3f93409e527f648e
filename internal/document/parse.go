package document

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/runbook-engine/runbook/internal/diag"
)

// Parse reads a YAML file of one or more documents. A document that is nothing
// but comments is left out.
func Parse(file string, src []byte) (docs []*Node, problems diag.List) {
	start := diag.Place{File: file, Line: 1, Col: 1}
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	src = bytes.ReplaceAll(src, []byte("\r\n"), []byte("\n"))
	if problems := readable(start, src); len(problems) > 0 {
		return nil, problems
	}
	defer func() {
		// The parser reads other people's text; its bugs are not our crash.
		if r := recover(); r != nil {
			docs, problems = nil, nil
			problems.Addf(start, "syntax", "the YAML parser failed: %v", r)
		}
	}()
	b := &builder{source: newSource(file, string(src))}
	tokens := lexer.Tokenize(b.source.text)
	if problems := b.parsable(tokens); len(problems) > 0 {
		return nil, problems
	}
	for _, tokens := range split(tokens) {
		docs = b.document(docs, tokens)
	}
	return docs, b.problems
}

// split separates the documents of a file, without those that are empty. The
// parser, asked to do it, drops all that follows an empty one.
func split(tokens token.Tokens) (docs []token.Tokens) {
	begin, empty := 0, true
	for i, t := range tokens {
		switch t.Type {
		case token.DocumentHeaderType, token.DocumentEndType:
			if !empty {
				docs = append(docs, tokens[begin:i])
			}
			begin, empty = i+1, true
		case token.CommentType:
		default:
			empty = false
		}
	}
	if !empty {
		docs = append(docs, tokens[begin:])
	}
	return docs
}

func (b *builder) document(docs []*Node, tokens token.Tokens) []*Node {
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		b.problems.Add(syntaxPlace(b.source.file, err), "syntax", syntaxText(err), "")
		return docs
	}
	for _, doc := range tree.Docs {
		if doc.Body != nil {
			docs = append(docs, b.node(doc.Body, 0))
		}
	}
	return docs
}

func syntaxPlace(file string, err error) diag.Place {
	at := diag.Place{File: file, Line: 1, Col: 1}
	if e, ok := err.(yaml.Error); ok && e.GetToken() != nil && e.GetToken().Position != nil {
		at.Line, at.Col = e.GetToken().Position.Line, e.GetToken().Position.Column
	}
	return at
}

func syntaxText(err error) string {
	if e, ok := err.(yaml.Error); ok {
		return e.GetMessage()
	}
	return err.Error()
}

type builder struct {
	source   *source
	problems diag.List
}

func (b *builder) place(t *token.Token) diag.Place {
	if t == nil || t.Position == nil {
		return diag.Place{File: b.source.file, Line: 1, Col: 1}
	}
	return diag.Place{File: b.source.file, Line: t.Position.Line, Col: t.Position.Column}
}

func (b *builder) node(n ast.Node, depth int) *Node {
	at := b.place(n.GetToken())
	if depth > maxDepth {
		b.problems.Addf(at, "too-deep", "the document nests deeper than %d levels", maxDepth)
		return &Node{Kind: Null, At: at}
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return b.mapping(n.Values, at, depth)
	case *ast.MappingValueNode:
		return b.mapping([]*ast.MappingValueNode{n}, at, depth)
	case *ast.SequenceNode:
		list := &Node{Kind: List, At: at}
		for _, item := range n.Values {
			list.Items = append(list.Items, b.node(item, depth+1))
		}
		return list
	default:
		return b.scalar(n, at)
	}
}

func (b *builder) mapping(values []*ast.MappingValueNode, at diag.Place, depth int) *Node {
	m := &Node{Kind: Map, At: at, Entries: make([]Entry, 0, len(values))}
	seen := make(map[string]int, len(values)) // lines
	for i, v := range values {
		key := v.Key.GetToken()
		keyAt := b.place(key)
		if i == 0 {
			m.At = keyAt
		}
		if first, dup := seen[key.Value]; dup {
			b.problems.Addf(keyAt, "duplicate-key", "key %q is here twice; it is on line %d already", key.Value, first)
			continue
		}
		seen[key.Value] = keyAt.Line
		m.Entries = append(m.Entries, Entry{Key: key.Value, At: keyAt, Value: b.entryValue(v, keyAt, depth)})
	}
	return m
}

func (b *builder) entryValue(v *ast.MappingValueNode, keyAt diag.Place, depth int) *Node {
	if v.Value == nil {
		return &Node{Kind: Null, At: keyAt}
	}
	return b.node(v.Value, depth+1)
}

func (b *builder) scalar(n ast.Node, at diag.Place) *Node {
	node := &Node{At: at}
	switch n := n.(type) {
	case *ast.NullNode:
		node.Kind, node.Text = Null, "null"
	case *ast.BoolNode:
		node.Kind, node.Scalar, node.Text = Bool, n.Value, n.Token.Value
	case *ast.IntegerNode:
		node.Kind, node.Text = Int, n.Token.Value
		node.Scalar = wholeNumber(n.Value)
		if octal.MatchString(node.Text) {
			b.problems.Add(at, "octal", fmt.Sprintf("%s is octal to some readers of YAML and decimal to others", node.Text),
				"write the number without the leading 0, or a text in quotes")
		}
	case *ast.FloatNode:
		node.Kind, node.Scalar, node.Text = Float, n.Value, n.Token.Value
	case *ast.StringNode:
		node.Kind, node.Scalar, node.Text = String, n.Value, n.Value
		node.source, node.style = b.source, styleOf(n.Token)
	case *ast.LiteralNode:
		node.Kind, node.Scalar, node.Text = String, n.Value.Value, n.Value.Value
		node.source, node.style = b.source, styleOf(n.Start)
	default:
		b.problems.Add(at, "yaml-feature", fmt.Sprintf("a value of kind %s has no place here", n.Type()), "")
	}
	return node
}

func styleOf(t *token.Token) style {
	switch t.Type {
	case token.SingleQuoteType:
		return singleQuoted
	case token.DoubleQuoteType:
		return doubleQuoted
	case token.LiteralType:
		return literal
	case token.FoldedType:
		return folded
	default:
		return plain
	}
}

// octal is how YAML 1.1 writes an octal number, and YAML 1.2 a decimal one.
var octal = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

// wholeNumber keeps what fits; the rest stays a float, which no integer field
// accepts.
func wholeNumber(v any) any {
	switch n := v.(type) {
	case int64:
		return n
	case uint64:
		if n <= 1<<63-1 {
			return int64(n)
		}
		return float64(n)
	default:
		return v
	}
}
