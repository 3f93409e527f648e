package main

import (
	"os"
	"path/filepath"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/engine"
)

// readConfig reads a config file, or prints all that is wrong with it.
func (p *program) readConfig(file string) (engine.Config, error) {
	config, sources, problems := engine.LoadConfig(file)
	if len(problems) > 0 {
		return config, p.problems(problems, sources)
	}
	return config, nil
}

// problems prints what is wrong with documents; the exit code says that there
// was something.
func (p *program) problems(problems diag.List, sources diag.Sources) error {
	if err := diag.WriteText(p.err, problems, sources); err != nil {
		return err
	}
	return &failure{code: exitNotFixed}
}

// sourcesOf reads the files that problems are in, for the excerpts. Without an
// excerpt a problem is still a problem.
func sourcesOf(problems diag.List) diag.Sources {
	sources := diag.Sources{}
	for _, found := range problems {
		if text, err := os.ReadFile(found.File); err == nil {
			sources[found.File] = text
		}
	}
	return sources
}

// setDataDir moves the state, and with it the record unless the config has a
// place for that.
func setDataDir(config *engine.Config, dir string, record bool) {
	config.DataDir = engine.Path(dir)
	if record {
		config.Audit.File = engine.Path(filepath.Join(dir, "audit.jsonl"))
	}
}
