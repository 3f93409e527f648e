package gameday_test

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

func reference(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/gamedays.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
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
	look("", shape.For[gameday.Document]())
}

func TestEveryCodeIsInTheReference(t *testing.T) {
	text := reference(t)
	for _, code := range codes(t) {
		if !strings.Contains(text, "`"+code+"`") {
			t.Errorf("the code %s is missing", code)
		}
	}
}

// The schema takes what loads, and refuses what an editor should underline.
func TestSchema(t *testing.T) {
	schema := compiled(t)
	for file, archive := range archives(t) {
		for _, f := range archive.Files {
			if f.Name == "want" || !strings.Contains(file, "valid") {
				continue
			}
			for _, v := range values(t, f.Data) {
				if err := schema.Validate(v); err != nil {
					t.Errorf("%s: %v", f.Name, err)
				}
			}
		}
	}
	for _, wrong := range []string{
		"{gameday: a}",
		"{gameday: a, stedy: [], steady: [{id: a, do: http.get, with: {url: x}, expect: a}], faults: [{id: a, inject: mesh.kill, with: {namespace: a, labels: {a: b}}}]}",
		"{gameday: a, steady: [{id: a, do: http.gett, with: {url: x}, expect: a}], faults: [{id: a, inject: mesh.kill, with: {namespace: a, labels: {a: b}}}]}",
		"{gameday: a, steady: [{id: a, do: postgres.terminate_backends, expect: a}], faults: [{id: a, inject: mesh.kill, with: {namespace: a, labels: {a: b}}}]}",
		"{gameday: a, steady: [{id: a, do: http.get, with: {url: x}, expect: a}], faults: [{id: a, inject: mesh.kil}]}",
		"{gameday: a, steady: [{id: a, do: http.get, with: {url: x}, expect: a}], faults: [{id: a, inject: mesh.kill, with: {namespase: a, labels: {a: b}}}]}",
	} {
		for _, v := range values(t, []byte(wrong)) {
			if schema.Validate(v) == nil {
				t.Errorf("the schema takes %s", wrong)
			}
		}
	}
}

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(gameday.Schema(testActions(), testFaults()))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("gameday.json", plain); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("gameday.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// values are the game days of a file as plain JSON.
func values(t *testing.T, src []byte) (all []any) {
	t.Helper()
	nodes, problems := document.Parse("f", src)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Get("gameday") == nil {
			continue
		}
		raw, err := json.Marshal(n.Value())
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}
