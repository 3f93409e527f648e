package runbooks_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// schema is the JSON Schema as an editor reads it. To compile it is to hold it
// against the meta-schema of its version.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(runbooks.Schema(testCatalog()))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if version := plain.(map[string]any)["$schema"]; version != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("the schema is of version %v", version)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("runbook.json", plain); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("runbook.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// values are the documents of a file as plain JSON, without game days.
func values(t *testing.T, src []byte) (all []any) {
	t.Helper()
	nodes, problems := document.Parse("f", src)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Get("gameday") != nil {
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

func TestSchemaAcceptsWhatIsValid(t *testing.T) {
	s := schema(t)
	valid, err := txtar.ParseFile("testdata/lint/valid.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range map[string][]byte{
		"valid.txtar": valid.Files[0].Data, "everything": []byte(everything), "asking": []byte(asking), "chain": []byte(chain),
	} {
		for _, v := range values(t, src) {
			if err := s.Validate(v); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Each of these is everything with one mistake that an editor can show.
func TestSchemaRefusesMistakes(t *testing.T) {
	refuses(t, everything,
		"summary: => sumary:",
		"runbook: everything => runbook: Every Thing",
		"autonomy: auto => autonomy: always",
		"autonomy: auto => autonomy: {levle: auto}",
		"matchers: ['env => matcher: ['env",
		"{type: number, => {type: decimal,",
		"default: 0.5} => defualt: 0.5}",
		"from: alert.labels.db => from: labels.db",
		"{max_targets: {count: 5}} => {max_targets: {count: 0}}",
		"{max_targets: {count: 5}} => {max_target: {count: 5}}",
		"{max_targets: {count: 5}} => {cooldown: 5 minutes}",
		"id: look => ID: look",
		"id: look => id: Look",
		"do: prometheus.query => do: prometheus.qurey",
		"verify: {do: prometheus.query => verify: {do: kubernetes.rollout_restart",
		"{query: 'up => {qery: 'up",
		"state: idle => state: busy",
		"limit: 7 => limit: seven",
		"limit: 7 => limit: 0",
		"limit: 7 => limit: 7, extra: 1",
		"expect: [200 => expect: [OK",
		"until: value < 0.7 => untill: value < 0.7",
		"until: value < 0.7 => until: value < 0.7, every: 5",
		"steps: => stesp:",
		"    with: {query: 'up{db=\"${params.db}\"} > ${params.half}'}\n => ",
	)
}

func TestSchemaRefusesMistakesInRemedies(t *testing.T) {
	refuses(t, chain,
		"remedies: => steps: [{id: x, do: kubernetes.rollout_restart, with: {name: a}}]\nremedies:",
		"remedies: => remedys:",
		"rate: [3/h => rate: [3 per hour",
		"rate_per_target: [1/d => rate_per_target: [1",
		"size: 2 => size: 0",
		"count: 2 => cuont: 2",
		"within: 2m => within: 2 minutes",
		"id: restart => id: Restart",
		"do: kubernetes.rollout_restart => do: kubernetes.restart",
		"state: idle => state: busy",
		"for: 2m => for: yes",
		"hold_page: 3m => hold_page: [3m]",
	)
}

func refuses(t *testing.T, document string, changes ...string) {
	t.Helper()
	s := schema(t)
	for _, change := range changes {
		old, new, _ := strings.Cut(change, " => ")
		changed := strings.Replace(document, old, new, 1)
		if changed == document {
			t.Fatalf("%s changes nothing", change)
		}
		for _, v := range values(t, []byte(changed)) {
			if err := s.Validate(v); err == nil {
				t.Errorf("%s: accepted", change)
			}
		}
	}
}
