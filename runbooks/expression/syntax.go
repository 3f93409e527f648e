package expression

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// Syntax is an expression that was read and not yet compiled.
type Syntax struct {
	// References are the names that it reads.
	References []Reference
	// Comparisons are where it compares what it reads with a text.
	Comparisons []Comparison

	source string
	tree   *parser.Tree
}

// Reference is a use of a name and of what follows it: steps.release.outcome.
// It ends where the path is no longer made of constant names.
type Reference struct {
	Path   []string
	Offset int // of the first byte
}

// Comparison is path == "text", path != "text", path in ["text", …] or
// "text" in path, or the reverse of one of these.
type Comparison struct {
	Path  []string
	Texts []Literal
	// Inside means that the texts are looked for in the value of the path.
	Inside bool
}

// Literal is a string in an expression.
type Literal struct {
	Value  string
	Offset int // of its first byte, a quote
}

// grammar is how expressions are read: without the names of an environment, so
// that a name before ( is always a function. `duration < duration("1s")` is
// about a field and a function.
var grammar = func() *conf.Config {
	c := conf.CreateNew()
	c.MaxNodes = maxNodes
	return c
}()

// Parse reads an expression.
func Parse(source string) (s *Syntax, err error) {
	switch {
	case len(source) > maxLength:
		return nil, &Error{Text: fmt.Sprintf("the expression has %d bytes; the limit is %d", len(source), maxLength)}
	case !utf8.ValidString(source):
		return nil, &Error{Text: "the expression is not valid UTF-8"}
	case strings.TrimSpace(source) == "":
		return nil, &Error{Text: "the expression is empty"}
	}
	defer func() {
		// The parser reads other people's text; its bugs are not our crash.
		if r := recover(); r != nil {
			s, err = nil, &Error{Text: oneLine(fmt.Sprintf("the expression can not be read: %v", r))}
		}
	}()
	s = &Syntax{source: source}
	if s.tree, err = parser.ParseWithConfig(source, grammar); err != nil {
		return nil, s.explain(err, nil)
	}
	if err := s.restrict(); err != nil {
		return nil, err
	}
	s.collect()
	return s, nil
}

// References lists what an expression reads. What does not parse reads nothing.
func References(source string) []Reference {
	s, err := Parse(source)
	if err != nil {
		return nil
	}
	return s.References
}

// offset is the byte at which a node stands.
func (s *Syntax) offset(n ast.Node) int { return byteOffset(s.source, n.Location().From) }

func byteOffset(source string, runes int) int {
	n := 0
	for i := range source {
		if n == runes {
			return i
		}
		n++
	}
	return len(source)
}

// collect finds the references and comparisons.
func (s *Syntax) collect() {
	c := &collector{syntax: s, inner: map[ast.Node]bool{}}
	ast.Walk(&s.tree.Node, c)
	for _, n := range c.chains {
		if !c.inner[n] {
			path, root := memberPath(n)
			s.References = append(s.References, Reference{Path: path, Offset: s.offset(root)})
		}
	}
	slices.SortStableFunc(s.References, func(a, b Reference) int { return a.Offset - b.Offset })
}

type collector struct {
	syntax *Syntax
	chains []ast.Node
	inner  map[ast.Node]bool // chains that are the beginning of a longer one
}

// Visit comes to the leaves first.
func (c *collector) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		c.chains = append(c.chains, n)
	case *ast.MemberNode:
		c.extend(n, n.Node)
	case *ast.ChainNode:
		c.extend(n, n.Node)
	case *ast.CallNode:
		// A function is no reference. A method is one, of a value.
		if _, function := n.Callee.(*ast.IdentifierNode); function {
			c.inner[n.Callee] = true
		}
	case *ast.BinaryNode:
		c.compare(n)
	}
}

func (c *collector) extend(chain, base ast.Node) {
	if path, _ := memberPath(chain); path == nil {
		return
	}
	c.inner[base] = true
	c.chains = append(c.chains, chain)
}

func (c *collector) compare(n *ast.BinaryNode) {
	switch n.Operator {
	case "==", "!=":
		c.addComparison(n.Left, n.Right, false)
		c.addComparison(n.Right, n.Left, false)
	case "in":
		c.addComparison(n.Left, n.Right, false)
		c.addComparison(n.Right, n.Left, true)
	}
}

func (c *collector) addComparison(of, with ast.Node, inside bool) {
	path, _ := memberPath(of)
	if texts := c.literals(with); path != nil && len(texts) > 0 {
		c.syntax.Comparisons = append(c.syntax.Comparisons, Comparison{Path: path, Texts: texts, Inside: inside})
	}
}

func (c *collector) literals(n ast.Node) (texts []Literal) {
	switch n := n.(type) {
	case *ast.StringNode:
		texts = append(texts, Literal{Value: n.Value, Offset: c.syntax.offset(n)})
	case *ast.ArrayNode:
		for _, item := range n.Nodes {
			if s, ok := item.(*ast.StringNode); ok {
				texts = append(texts, Literal{Value: s.Value, Offset: c.syntax.offset(s)})
			}
		}
	}
	return texts
}

// memberPath is the names of a chain, and its first node; nil when it does not
// begin with a name.
func memberPath(node ast.Node) (path []string, root ast.Node) {
	path, root, _ = constantPath(node)
	return path, root
}

// constantPath is memberPath, and whether the path goes to the end of the chain.
func constantPath(node ast.Node) (path []string, root ast.Node, whole bool) {
	switch n := node.(type) {
	case *ast.ChainNode:
		return constantPath(n.Node)
	case *ast.IdentifierNode:
		return []string{n.Value}, n, true
	case *ast.MemberNode:
		path, root, whole = constantPath(n.Node)
		name, constant := n.Property.(*ast.StringNode)
		if !whole || !constant {
			return path, root, false
		}
		return append(path[:len(path):len(path)], name.Value), root, true
	default:
		return nil, nil, false
	}
}

func (s *Syntax) explain(err error, env Env) error {
	var at *file.Error
	if !errors.As(err, &at) {
		return s.explained(&Error{Text: plainWords(err.Error())}, env)
	}
	return s.explained(&Error{Offset: byteOffset(s.source, at.From), Text: plainWords(at.Message)}, env)
}
