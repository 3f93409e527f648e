package runbooks_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

func reference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var example = regexp.MustCompile("(?ms)^```yaml\n(runbook:.*?)^```$")

func TestExamplesOfTheReferenceLint(t *testing.T) {
	for _, file := range []string{"../docs/language.md", "../docs/failover.md", "../README.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		examples := example.FindAllSubmatch(text, -1)
		if len(examples) == 0 {
			t.Errorf("%s has no example", file)
		}
		for _, m := range examples {
			_, problems := runbooks.Load(diag.Sources{file: m[1]}, runbooks.Options{Catalog: std.Catalog(nil)})
			if err := problems.Err(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Every key of a document is explained: it stands in a code span of the text.
func TestEveryKeyIsInTheReference(t *testing.T) {
	spans := strings.Join(regexp.MustCompile("`[^`\n]+`").FindAllString(reference(t), -1), "\n")
	var look func(path string, of *shape.Type)
	look = func(path string, of *shape.Type) {
		for of.Kind == shape.List || of.Kind == shape.Map {
			of = of.Elem
		}
		for _, f := range of.Fields {
			if !regexp.MustCompile(`\b` + f.Name + `\b`).MatchString(spans) {
				t.Errorf("the key %s%s is missing", path, f.Name)
			}
			look(path+f.Name+".", f.Type)
		}
	}
	look("", shape.For[runbooks.Document]())
}

func TestReferenceIsComplete(t *testing.T) {
	text := reference(t)
	for _, code := range codesIn(t, ".", "lint", "matching", "parameter", "../internal/document") {
		if !strings.Contains(text, "`"+code+"`") {
			t.Errorf("the code %s is missing", code)
		}
	}
	for _, name := range expression.Functions() {
		if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+name+"(") && !strings.Contains(text, " `"+name+"(") {
			t.Errorf("the function %s is missing", name)
		}
	}
}
