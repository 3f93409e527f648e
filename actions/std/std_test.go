package std_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions/std"
)

// TestEveryActionHasAConformanceCase reads the tests of the packages, so that a
// new action without a case is found without anybody keeping a list.
func TestEveryActionHasAConformanceCase(t *testing.T) {
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
			if call, ok := n.(*ast.CallExpr); ok {
				for _, argument := range call.Args {
					tried[actionOf(argument)] = true
				}
			}
			return true
		})
	}
	for _, name := range std.Catalog(nil).Names() {
		if !tried[name] {
			t.Errorf("no test calls the conformance suite with a conformance.Case{Action: %q, …}", name)
		}
	}
}

// actionOf is the Action of a conformance.Case{Action: "…"}.
func actionOf(e ast.Expr) string {
	literal, ok := e.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	if of, ok := literal.Type.(*ast.SelectorExpr); !ok || of.Sel.Name != "Case" {
		return ""
	}
	for _, field := range literal.Elts {
		pair, ok := field.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Action" {
			if value, ok := pair.Value.(*ast.BasicLit); ok {
				name, _ := strconv.Unquote(value.Value)
				return name
			}
		}
	}
	return ""
}

func TestTheCatalogIsTheFirstSet(t *testing.T) {
	catalog := std.Catalog(nil)
	for _, name := range []string{
		"alertmanager.raise", "alertmanager.silence", "exec.command", "http.get", "http.request", "kubernetes.delete_pods",
		"kubernetes.rollout_restart", "postgres.query", "postgres.terminate_backends", "prometheus.query", "wait",
	} {
		if _, there := catalog.Get(name); !there {
			t.Errorf("%s is missing", name)
		}
	}
}

// A connection is named after its system, so that a reader of a config knows
// which actions use it.
func TestConnectionsAreNamedAfterTheirSystem(t *testing.T) {
	catalog := std.Catalog(nil)
	kinds := map[string]bool{}
	for _, k := range catalog.Kinds() {
		kinds[k.Kind] = true
		if !strings.HasSuffix(k.Doc, ".") {
			t.Errorf("the doc of the connection %s is no sentence", k.Kind)
		}
	}
	for _, a := range catalog.All() {
		for _, f := range a.Params.Fields {
			if f.Connection != "" && (f.Connection != a.System() || !kinds[f.Connection]) {
				t.Errorf("%s uses a connection of the kind %s", a.Name, f.Connection)
			}
		}
	}
}
