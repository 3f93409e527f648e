package runbooks_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
)

var update = flag.Bool("update", false, "write what lint says into testdata/lint")

const goldens = "testdata/lint/*.txtar"

// Each file of testdata/lint holds documents and, as `want`, the report on them.
// Its first lines may set what documents are checked against:
//
//	windows: maintenance, freeze
//	connections: {orders: {postgres: {name: a}}}
func TestLint(t *testing.T) {
	files, err := filepath.Glob(goldens)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, want := report(t, archive), wanted(archive)
			if *update && got != want {
				write(t, file, archive, got)
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestTwentyMistakesAreTwentyProblems(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/lint/twenty-mistakes.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(wanted(archive), "\ntwenty.yaml:") + 1; n != 20 {
		t.Errorf("the report has %d problems", n)
	}
}

func report(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	sources := diag.Sources{}
	for _, f := range archive.Files {
		if f.Name != "want" {
			sources[f.Name] = f.Data
		}
	}
	set, problems := runbooks.Load(sources, options(t, string(archive.Comment)))
	if (set == nil) != (len(problems) > 0) {
		t.Errorf("%d problems and the set %v", len(problems), set)
	}
	var b bytes.Buffer
	if err := diag.WriteText(&b, problems, sources); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func options(t *testing.T, comment string) runbooks.Options {
	t.Helper()
	o := runbooks.Options{Catalog: testCatalog()}
	for line := range strings.Lines(comment) {
		if names, ok := strings.CutPrefix(line, "windows:"); ok {
			o.Windows = strings.FieldsFunc(names, func(r rune) bool { return strings.ContainsRune(", \n", r) })
		}
		if config, ok := strings.CutPrefix(line, "connections:"); ok {
			o.Connections = connections(t, config)
		}
	}
	return o
}

func wanted(archive *txtar.Archive) string {
	for _, f := range archive.Files {
		if f.Name == "want" {
			return string(f.Data)
		}
	}
	return ""
}

func write(t *testing.T, file string, archive *txtar.Archive, report string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(report)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every code that the source can report is shown in a golden file.
func TestEveryCodeHasAGolden(t *testing.T) {
	files, err := filepath.Glob(goldens)
	if err != nil {
		t.Fatal(err)
	}
	var reports strings.Builder
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		reports.WriteString(wanted(archive))
	}
	codes := codesIn(t, ".", "lint", "matching", "parameter", "../internal/document")
	if len(codes) < 40 {
		t.Errorf("only %d codes found in the source: %v", len(codes), codes)
	}
	for _, code := range codes {
		if !strings.Contains(reports.String(), " ("+code+")\n") {
			t.Errorf("no golden shows %s", code)
		}
	}
}

// codesIn finds the codes in calls of Add, Addf and add, and in problems that
// are written out.
func codesIn(t *testing.T, dirs ...string) []string {
	t.Helper()
	codes := map[string]bool{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() && path != dir {
				return cmpErr(err, fs.SkipDir)
			}
			if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				addCodes(t, path, codes)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return sortedKeys(codes)
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func addCodes(t *testing.T, path string, codes map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Add", "Addf", "add"}, f.Sel.Name) && len(n.Args) > 2 {
				addLiteral(codes, n.Args[1])
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Code" {
				addLiteral(codes, n.Value)
			}
		}
		return true
	})
}

func addLiteral(codes map[string]bool, e ast.Expr) {
	if literal, ok := e.(*ast.BasicLit); ok && literal.Kind == token.STRING {
		if code, err := strconv.Unquote(literal.Value); err == nil {
			codes[code] = true
		}
	}
}
