package library_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// An editor that has the schema finds nothing wrong with what is shipped.
func TestSchemaAcceptsEveryDocument(t *testing.T) {
	c := jsonschema.NewCompiler()
	if err := c.AddResource("runbook.json", plain(t, runbooks.Schema(std.Catalog(nil)))); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("runbook.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files(t, false) {
		nodes, problems := document.Parse(name, text)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		for _, n := range nodes {
			if n.Get("gameday") != nil {
				continue
			}
			if err := schema.Validate(plain(t, n.Value())); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// plain is a value as JSON has it.
func plain(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	read, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return read
}
