package engine

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/invopop/jsonschema"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Where the engine keeps its state when the config does not say.
const (
	dataName  = "runbook-data"
	auditName = "audit.jsonl"
	// missedName is which missed runs of game days were reported.
	missedName = "missed.json"
)

// LoadConfig reads a config file and reports everything that is wrong with it.
// The sources are for the excerpts of the report.
func LoadConfig(path string) (Config, diag.Sources, diag.List) {
	var problems diag.List
	src, err := os.ReadFile(path)
	if err != nil {
		problems.Add(diag.Place{File: path, Line: 1, Col: 1}, "unreadable", fmt.Sprintf("read the config: %v", err), "")
		return Config{}, nil, problems
	}
	c, problems := parseConfig(path, src)
	problems.Sort()
	return c, diag.Sources{path: src}, problems
}

// DefaultConfig is that of an empty file in the working directory.
func DefaultConfig() Config {
	c, problems := decodeConfig(&document.Node{Kind: document.Map})
	if err := problems.Err(); err != nil {
		panic(fmt.Sprintf("engine: the defaults of the config are not valid: %v", err))
	}
	return c
}

func parseConfig(path string, src []byte) (Config, diag.List) {
	nodes, problems := document.Parse(path, src)
	if len(problems) > 0 {
		return Config{}, problems
	}
	n := &document.Node{Kind: document.Map, At: diag.Place{File: path, Line: 1, Col: 1}}
	if len(nodes) > 0 && nodes[0].Kind != document.Null {
		n = nodes[0]
	}
	if len(nodes) > 1 {
		problems.Addf(nodes[1].At, "several-documents", "a config is one document; here a second one begins")
	}
	c, found := decodeConfig(n)
	return c, append(problems, found...)
}

func decodeConfig(n *document.Node) (Config, diag.List) {
	var c Config
	problems := document.Decode(n, &c)
	if c.DataDir == "" {
		c.DataDir = Path(beside(n.At.File, dataName))
	}
	if c.Audit.File == "" {
		c.Audit.File = Path(filepath.Join(string(c.DataDir), auditName))
	}
	if len(problems) == 0 {
		problems = c.check(n)
	}
	return c, problems
}

// ConfigSchema is the JSON Schema of the config file, for editors.
func ConfigSchema() *jsonschema.Schema {
	s := shape.For[Config]().Schema(false)
	s.Version = jsonschema.Version
	s.Title = "Config of the runbook engine"
	return s
}
