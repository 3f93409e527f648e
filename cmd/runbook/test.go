package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/rehearsal"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/unittest"
)

func (p *program) testCommand() *cobra.Command {
	var output *choice
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test PATH...",
		Short: "Run the unit tests of runbooks",
		Long: `Run the unit tests of runbooks: the files NAME_test.yaml in the folders that are named, or
beside the documents. Each case is carried out by the interpreter that the engine
uses, on virtual time; what the actions answer is declared in the case, and nothing
is touched. The exit code is 1 when a case fails.`,
		Example: `  runbook test runbooks/
  runbook test -v runbooks/db-pool-exhausted.yaml
  runbook test -o junit runbooks/ > report.xml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, paths []string) error { return p.test(paths, output.value, verbose) },
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print what happened in the cases that fail, and the cases that pass")
	output = outputFlag(cmd, "text", "json", "junit")
	return cmd
}

func (p *program) test(paths []string, output string, verbose bool) error {
	catalog := std.Catalog(nil)
	set, sources, problems, err := loadTested(paths, runbooks.Options{Catalog: catalog})
	if err != nil {
		return &failure{exitUsage, err}
	}
	if len(problems) > 0 {
		return p.printProblems(problems, sources, "text")
	}
	tests, testSources, problems, err := loadTests(paths, set, runbooks.Options{Catalog: catalog})
	switch {
	case err != nil:
		return &failure{exitUsage, err}
	case len(problems) > 0:
		return p.printProblems(problems, testSources, "text")
	case len(tests) == 0:
		return usage("no unit tests there: they are named NAME_test.yaml")
	}
	results := rehearsal.New(catalog, set).Run(tests)
	if err := p.printResults(results, testSources, output, verbose); err != nil {
		return err
	}
	if rehearsal.Failed(results) > 0 {
		return &failure{code: exitNotFixed}
	}
	return nil
}

func (p *program) printResults(results []rehearsal.Result, sources diag.Sources, output string, verbose bool) error {
	switch output {
	case "json":
		return rehearsal.WriteJSON(p.out, results)
	case "junit":
		return rehearsal.WriteJUnit(p.out, results)
	}
	return rehearsal.WriteText(p.out, results, sources, verbose)
}

// loadTested loads the documents in the paths, and those that tests which are
// named themselves stand beside.
func loadTested(paths []string, o runbooks.Options) (*runbooks.Set, diag.Sources, diag.List, error) {
	files, err := runbooks.Files(unittest.Documents(paths))
	if err != nil {
		return nil, nil, nil, err
	}
	sources, err := runbooks.ReadFiles(files)
	if err == nil && len(sources) == 0 {
		err = errors.New("no documents there: they end in .yaml or .yml")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	set, problems := runbooks.Load(sources, o)
	return set, sources, problems, nil
}

// loadTests loads the unit tests in the paths.
func loadTests(paths []string, set *runbooks.Set, o runbooks.Options) ([]*unittest.Tested, diag.Sources, diag.List, error) {
	files, err := unittest.Files(paths)
	if err != nil {
		return nil, nil, nil, err
	}
	sources, err := runbooks.ReadFiles(files)
	if err != nil {
		return nil, nil, nil, err
	}
	tests, problems := unittest.Load(sources, set, o.Catalog)
	return tests, sources, problems, nil
}
