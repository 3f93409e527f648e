package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/chaos/gameday"
	chaosstd "github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/runbooks"
)

func (p *program) lintCommand() *cobra.Command {
	var config string
	var output *choice
	cmd := &cobra.Command{
		Use:   "lint PATH... | -",
		Short: "Check runbooks and game days, and say everything that is wrong with them",
		Long: `Check runbooks and game days in files and folders, or on standard input (-), and
the unit tests beside them. Every problem is printed with its place, a stable code
and a hint; the exit code is 1 when there are any. With --config the names of
connections and windows are checked too.`,
		Example: `  runbook lint runbooks/
  runbook lint -o github --config runbook.yaml runbooks/
  generate | runbook lint -`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, paths []string) error { return p.lint(paths, config, output.value) },
	}
	cmd.Flags().StringVar(&config, "config", "", "the engine's config `FILE`, to check names against")
	output = outputFlag(cmd, "text", "json", "github")
	return cmd
}

func (p *program) lint(paths []string, config, output string) error {
	options := runbooks.Options{Catalog: std.Catalog(nil)}
	if config != "" {
		known, sources, problems := engine.LoadConfig(config)
		if len(problems) > 0 {
			return p.printProblems(problems, sources, output)
		}
		var err error
		if options, err = known.LintOptions(); err != nil {
			return &failure{exitUsage, err}
		}
	}
	sources, err := p.sources(paths)
	if err != nil {
		return &failure{exitUsage, err}
	}
	set, problems := runbooks.Load(sources, options)
	problems = append(problems, gamedayProblems(sources, set, options)...)
	problems.Sort()
	if len(problems) == 0 {
		if problems, err = lintTests(paths, set, options, sources); err != nil {
			return &failure{exitUsage, err}
		}
	}
	return p.printProblems(problems, sources, output)
}

// gamedayProblems checks game days. What one says of its runbook is only checked
// where there are runbooks, and nothing is wrong with them.
func gamedayProblems(sources diag.Sources, set *runbooks.Set, o runbooks.Options) diag.List {
	if set != nil && len(set.All()) == 0 {
		set = nil
	}
	_, problems := gameday.Load(sources, gameday.Options{
		Actions: o.Catalog, Faults: chaosstd.Catalog(nil), Runbooks: set, Connections: o.Connections, Windows: o.Windows,
	})
	return problems
}

// lintTests checks the unit tests of documents that are without problems.
func lintTests(paths []string, set *runbooks.Set, o runbooks.Options, sources diag.Sources) (diag.List, error) {
	paths = slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return path == "-" })
	_, found, problems, err := loadTests(paths, set, o)
	maps.Copy(sources, found)
	return problems, err
}

// stdin is the name of standard input in problems.
const stdin = "<stdin>"

func (p *program) sources(paths []string) (diag.Sources, error) {
	fromInput := slices.Contains(paths, "-")
	paths = slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return path == "-" })
	files, err := runbooks.Files(paths)
	if err != nil {
		return nil, err
	}
	sources, err := runbooks.ReadFiles(files)
	if err != nil {
		return nil, err
	}
	if fromInput {
		text, err := io.ReadAll(io.LimitReader(p.in, document.MaxSize+1))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		sources[stdin] = text
	}
	if len(sources) == 0 {
		return nil, errors.New("no documents there: they end in .yaml or .yml")
	}
	return sources, nil
}

func (p *program) printProblems(problems diag.List, sources diag.Sources, output string) error {
	var err error
	switch output {
	case "json":
		err = diag.WriteJSON(p.out, problems)
	case "github":
		err = diag.WriteGitHub(p.out, problems)
	default:
		err = diag.WriteText(p.out, problems, sources)
	}
	switch {
	case err != nil:
		return err
	case len(problems) > 0:
		return &failure{code: exitNotFixed}
	}
	return nil
}
