package shape_test

import (
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runbook-engine/runbook/internal/shape"
)

func compile(t *testing.T, holes bool) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(shape.For[sample]().Schema(holes))
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(text, &plain); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sample.json", plain); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sample.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestSchemaAcceptsAndRefuses(t *testing.T) {
	strict, holes := compile(t, false), compile(t, true)
	for _, c := range []struct {
		document      string
		strict, holes bool
	}{
		{`{"name": "a"}`, true, true},
		{`{"name": "a", "count": 20, "ratio": 1.5, "tags": ["a"], "attrs": {"k": "v"}, "raw": [1], "free": null, "loud": true}`, true, true},
		{`{"name": "a", "at": "2026-01-02T15:04:05Z", "address": "::1"}`, true, true},
		{`{}`, false, false},
		{`{"name": "A"}`, false, false},
		{`{"name": "a", "nmae": "b"}`, false, false},
		{`{"name": "a", "count": 21}`, false, false},
		{`{"name": "a", "count": 1.5}`, false, false},
		{`{"name": "a", "mode": "maybe"}`, false, false},
		{`{"name": "a", "tags": "a"}`, false, false},
		{`{"name": "a", "tags": ["c"]}`, false, false},
		{`{"name": "a", "tags": ["${params.t}"]}`, false, true},
		{`{"name": "a", "tags": ["a", "a", "a"]}`, false, false},
		{`{"name": "a", "attrs": {"k": 1}}`, false, false},
		{`{"name": "a", "attrs": {"k": "1", "l": "2"}}`, false, false},
		{`{"name": "a", "inner": {"evry": "5s"}}`, false, false},
		{`{"name": "${params.x}", "count": "${params.n}", "tags": "${params.l}", "mode": "${params.m}"}`, false, true},
	} {
		var document any
		if err := json.Unmarshal([]byte(c.document), &document); err != nil {
			t.Fatal(err)
		}
		if err := strict.Validate(document); (err == nil) != c.strict {
			t.Errorf("strict: %s: %v", c.document, err)
		}
		if err := holes.Validate(document); (err == nil) != c.holes {
			t.Errorf("with holes: %s: %v", c.document, err)
		}
	}
}

func TestDurationsInTheSchemaAreThoseOfTheDecoder(t *testing.T) {
	schema := compile(t, false)
	for text, valid := range map[string]bool{
		`"5s"`: true, `"1h30m"`: true, `"100ms"`: true, `"30d"`: true, `"1y2w3d4h5m6s7ms"`: true, `"0"`: true, `0`: true, `"0s"`: true,
		`""`: false, `5`: false, `"5"`: false, `"5 s"`: false, `"1.5s"`: false, `"30m1h"`: false, `"-5s"`: false, `"5sec"`: false,
	} {
		var document any
		if err := json.Unmarshal([]byte(`{"name": "a", "inner": {"every": `+text+`}}`), &document); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); (err == nil) != valid {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDefaultsInTheSchemaAreValues(t *testing.T) {
	schema := shape.For[sample]().Schema(false)
	for name, want := range map[string]string{"count": `3`, "tags": `["a", "b"]`, "loud": `false`} {
		property, _ := schema.Properties.Get(name)
		got, err := json.Marshal(property.Default)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if json.Unmarshal(got, &a) != nil || json.Unmarshal([]byte(want), &b) != nil || len(got) == 0 {
			t.Fatalf("default of %s is %s", name, got)
		}
		if x, y := mustJSON(t, a), mustJSON(t, b); x != y {
			t.Errorf("default of %s is %s, want %s", name, x, y)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
