package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/terminal"
	"github.com/runbook-engine/runbook/runbooks"
)

func (p *program) listCommand() *cobra.Command {
	var r *reach
	var output *choice
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the runbooks",
		Long:  `List the runbooks that the engine has loaded, or without a server those in files.`,
		Example: `  runbook list
  runbook list --runbooks ./runbooks -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.list(cmd.Context(), r, output.value) },
	}
	r = documentFlags(cmd)
	output = outputFlag(cmd, "text", "json")
	return cmd
}

func (p *program) list(ctx context.Context, r *reach, output string) error {
	list, err := p.runbooks(ctx, r)
	if err != nil {
		return err
	}
	if output == "json" {
		return p.json(list)
	}
	rows := make([][]string, len(list))
	for i, rb := range list {
		rows[i] = []string{rb.Name, rb.Autonomy, string(rb.Risk), rb.Summary}
	}
	return p.screen().Table([]string{"NAME", "AUTONOMY", "RISK", "WHAT IT DOES"}, rows)
}

// screen is where text for people goes.
func (p *program) screen() *terminal.Terminal { return terminal.New(p.out, p.env) }

// runbooks asks the server, or reads the files: that needs no engine.
func (p *program) runbooks(ctx context.Context, r *reach) ([]api.Runbook, error) {
	if url := r.url(p); url != "" {
		c, err := r.remote(p, url)
		if err != nil {
			return nil, err
		}
		return c.Runbooks(ctx)
	}
	set, options, err := p.loadSet(r)
	if err != nil {
		return nil, err
	}
	list := []api.Runbook{}
	for _, rb := range set.All() {
		list = append(list, api.DescribeRunbook(rb, options.Catalog))
	}
	return list, nil
}

// runbook is one of them, whole.
func (p *program) runbook(ctx context.Context, r *reach, name string) (api.RunbookDetail, error) {
	if url := r.url(p); url != "" {
		c, err := r.remote(p, url)
		if err != nil {
			return api.RunbookDetail{}, err
		}
		return c.Runbook(ctx, name)
	}
	set, options, err := p.loadSet(r)
	if err != nil {
		return api.RunbookDetail{}, err
	}
	rb, known := set.Get(name)
	if !known {
		return api.RunbookDetail{}, unknown("runbook", name, set.Names())
	}
	return api.DescribeRunbookDetail(rb, options.Catalog), nil
}

func (p *program) loadSet(r *reach) (*runbooks.Set, runbooks.Options, error) {
	if !r.hasDocuments(p) {
		return nil, runbooks.Options{}, errNoDocuments
	}
	config, err := r.settings(p)
	if err != nil {
		return nil, runbooks.Options{}, err
	}
	options, err := config.LintOptions()
	if err != nil {
		return nil, options, err
	}
	var paths []string
	for _, path := range config.Runbooks {
		paths = append(paths, string(path))
	}
	set, err := runbooks.LoadPaths(paths, options)
	var found *diag.Error
	if errors.As(err, &found) {
		return nil, options, p.problems(found.Problems, sourcesOf(found.Problems))
	}
	return set, options, err
}
