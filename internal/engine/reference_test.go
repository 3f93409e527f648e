package engine

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/shape"
)

const docPath = "../../docs/configuration.md"

var update = flag.Bool("update", false, "write the reference into docs/configuration.md")

const (
	referenceBegins = "<!-- The rest is generated from the config's declaration: go test ./internal/engine -run TestReference -update -->\n"
)

// The reference in the documentation is what the declaration says.
func TestReference(t *testing.T) {
	page := read(t, docPath)
	prose, _, found := strings.Cut(page, referenceBegins)
	if !found {
		t.Fatalf("%s has no reference", docPath)
	}
	want := prose + referenceBegins + reference()
	if *update {
		if err := os.WriteFile(docPath, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if page != want {
		t.Errorf("%s is not what the declaration says; run: go test ./internal/engine -run TestReference -update", docPath)
	}
}

func reference() string {
	var b strings.Builder
	section(&b, "", shape.For[Config]())
	for _, k := range kinds() {
		fmt.Fprintf(&b, "\n### connections.NAME.%s\n\n%s\n", k.Kind, k.Doc)
		table(&b, "connections.NAME."+k.Kind, k.Config)
	}
	fmt.Fprintf(&b, "\n### windows.NAME\n\nIntervals, a calendar or both; the window is open while any of them is. A list is short for its intervals.\n")
	table(&b, "windows.NAME", shape.For[windowForm]())
	return b.String()
}

func section(b *strings.Builder, path string, t *shape.Type) {
	if path != "" {
		fmt.Fprintf(b, "\n### %s\n", path)
	}
	table(b, path, t)
}

// table lists the keys of an object, and then those of the objects in it.
func table(b *strings.Builder, path string, t *shape.Type) {
	if len(t.Fields) == 0 {
		return
	}
	b.WriteString("\n| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range t.Fields {
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", f.Name, typeText(f), defaultText(f), strings.ReplaceAll(f.Doc, "|", `\|`))
	}
	for _, f := range t.Fields {
		if inner := innerObject(f.Type); len(inner.Fields) > 0 {
			section(b, join(path, f), inner)
		}
	}
}

func join(path string, f shape.Field) string {
	name := f.Name
	if f.Type.Kind == shape.List {
		name += "[]"
	}
	return strings.TrimPrefix(path+"."+name, ".")
}

func innerObject(t *shape.Type) *shape.Type {
	for t.Kind == shape.List || t.Kind == shape.Map {
		t = t.Elem
	}
	return t
}

func typeText(f shape.Field) string {
	switch {
	case len(f.Enum) > 0:
		return "`" + strings.Join(f.Enum, "` `") + "`"
	case f.Type.Go == reflect.TypeFor[Path](), strings.HasSuffix(f.Type.Go.String(), "secret.File"):
		return "path"
	}
	return f.Type.String()
}

func defaultText(f shape.Field) string {
	switch {
	case f.Required:
		return "required"
	case f.HasDefault && f.Default != "{}" && f.Default != "":
		return "`" + f.Default + "`"
	}
	return ""
}

func TestEveryKeyIsDocumented(t *testing.T) {
	var look func(path string, of *shape.Type)
	look = func(path string, of *shape.Type) {
		for _, f := range innerObject(of).Fields {
			if !strings.HasSuffix(f.Doc, ".") {
				t.Errorf("%s.%s has no doc", path, f.Name)
			}
			look(path+"."+f.Name, f.Type)
		}
	}
	look("", shape.For[Config]())
	look("windows", shape.For[windowForm]())
}
