package std_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	actions "github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/chaos/std"
)

// TestEveryFaultHasAConformanceCase reads the tests of the packages, so that a
// new fault without a case is found without anybody keeping a list.
func TestEveryFaultHasAConformanceCase(t *testing.T) {
	tried := map[string]bool{}
	files, err := filepath.Glob("../*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.CompositeLit); ok {
				tried[faultOf(literal)] = true
			}
			return true
		})
	}
	for _, name := range std.Catalog(nil).Names() {
		if !tried[name] {
			t.Errorf("no test has a conformance.Case{Fault: %q, …}", name)
		}
	}
}

// faultOf is the Fault of a conformance.Case{Fault: "…"}.
func faultOf(literal *ast.CompositeLit) string {
	if of, ok := literal.Type.(*ast.SelectorExpr); !ok || of.Sel.Name != "Case" {
		return ""
	}
	for _, field := range literal.Elts {
		pair, ok := field.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Fault" {
			if value, ok := pair.Value.(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(value.Value)
				return name
			}
		}
	}
	return ""
}

// A fault uses a connection of its own injector, or one of the actions.
func TestConnectionsAreOnesThatThereAre(t *testing.T) {
	kinds := map[string]bool{}
	for _, k := range append(actions.Catalog(nil).Kinds(), std.Catalog(nil).Kinds()...) {
		if kinds[k.Kind] {
			t.Errorf("the connection %s is declared twice", k.Kind)
		}
		kinds[k.Kind] = true
		if !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("the doc of the connection %s is no sentence", k.Kind)
		}
	}
	for _, f := range std.Catalog(nil).All() {
		connected := false
		for _, p := range f.Params.Fields {
			connected = connected || kinds[p.Connection]
		}
		if !connected {
			t.Errorf("%s names no connection", f.Name)
		}
	}
}

func TestEveryModeHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range std.Modes() {
		if seen[m.Name] || m.Name == "" || m.Run == nil {
			t.Errorf("the mode %q is there twice, or not whole", m.Name)
		}
		seen[m.Name] = true
	}
}
