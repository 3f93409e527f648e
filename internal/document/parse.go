package document

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/runbook-engine/runbook/internal/diag"
)

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 4 << 20

// maxDepth bounds the nesting, which recursion follows.
const maxDepth = 64

// Parse reads a YAML file of one or more documents. A document that is nothing
// but comments is left out.
func Parse(file string, src []byte) (docs []*Node, problems diag.List) {
	start := diag.Place{File: file, Line: 1, Col: 1}
	if len(src) > MaxSize {
		problems.Addf(start, "too-large", "the file has %d bytes; the limit is %d", len(src), MaxSize)
		return nil, problems
	}
	if i := bytes.IndexByte(src, 0); i >= 0 {
		problems.Addf(start, "syntax", "the file has a NUL byte at offset %d; it is not YAML text", i)
		return nil, problems
	}
	defer func() {
		// The parser reads other people's text; its bugs are not our crash.
		if r := recover(); r != nil {
			docs = nil
			problems.Addf(start, "syntax", "the YAML parser failed: %v", r)
		}
	}()
	if depth := nesting(src); depth > maxDepth*4 {
		problems.Addf(start, "too-deep", "the document nests %d brackets deep; the limit is %d", depth, maxDepth*4)
		return nil, problems
	}
	tree, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		problems.Add(syntaxPlace(file, err), "syntax", syntaxText(err), "")
		return nil, problems
	}
	b := &builder{file: file, lines: strings.Split(string(src), "\n")}
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		if _, comments := doc.Body.(*ast.CommentGroupNode); comments {
			continue
		}
		docs = append(docs, b.node(doc.Body, 0))
	}
	return docs, b.problems
}

// nesting is a cheap upper bound on how deep flow collections go, checked
// before a recursive parser sees them.
func nesting(src []byte) (deepest int) {
	depth := 0
	for _, c := range src {
		switch c {
		case '[', '{':
			depth++
			deepest = max(deepest, depth)
		case ']', '}':
			depth--
		}
	}
	return deepest
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
	file     string
	lines    []string
	problems diag.List
}

func (b *builder) place(t *token.Token) diag.Place {
	if t == nil || t.Position == nil {
		return diag.Place{File: b.file, Line: 1, Col: 1}
	}
	return diag.Place{File: b.file, Line: t.Position.Line, Col: t.Position.Column}
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
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		b.problems.Add(at, "yaml-feature", "anchors, aliases, merge keys and tags are not part of these documents",
			"write the value out where it is used")
		return &Node{Kind: Null, At: at}
	default:
		return b.scalar(n, at)
	}
}

func (b *builder) mapping(values []*ast.MappingValueNode, at diag.Place, depth int) *Node {
	m := &Node{Kind: Map, At: at}
	seen := map[string]diag.Place{}
	for i, v := range values {
		key := v.Key.GetToken()
		keyAt := b.place(key)
		if i == 0 {
			m.At = keyAt
		}
		if v.Key.IsMergeKey() {
			b.problems.Add(keyAt, "yaml-feature", "merge keys are not part of these documents", "write the keys out")
			continue
		}
		if first, dup := seen[key.Value]; dup {
			b.problems.Addf(keyAt, "duplicate-key", "key %q is here twice; it is on line %d already", key.Value, first.Line)
			continue
		}
		seen[key.Value] = keyAt
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
	case *ast.FloatNode:
		node.Kind, node.Scalar, node.Text = Float, n.Value, n.Token.Value
	case *ast.StringNode:
		node.Kind, node.Scalar, node.Text = String, n.Value, n.Value
		node.chars = b.flowPlaces(n.Token, n.Value, at)
	case *ast.LiteralNode:
		node.Kind, node.Scalar, node.Text = String, n.Value.Value, n.Value.Value
		node.chars = b.blockPlaces(n.Value.Value, at)
	default:
		b.problems.Add(at, "yaml-feature", fmt.Sprintf("a value of kind %s has no place here", n.Type()), "")
	}
	return node
}

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
