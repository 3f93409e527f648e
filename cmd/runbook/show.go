package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *program) showCommand() *cobra.Command {
	var r *reach
	var output *choice
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Print what a runbook does",
		Long:  `Print what a runbook does: what starts it, its parameters, steps, conditions and checks.`,
		Example: `  runbook show db-pool-exhausted
  runbook show db-pool-exhausted --runbooks ./runbooks`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.show(cmd.Context(), r, args[0], output.value)
		},
	}
	r = documentFlags(cmd)
	cmd.ValidArgsFunction = p.completeRunbooks(r)
	output = outputFlag(cmd, "text", "json")
	return cmd
}

func (p *program) show(ctx context.Context, r *reach, name, output string) error {
	detail, err := p.runbook(ctx, r, name)
	if err != nil {
		return err
	}
	if output == "json" {
		return p.json(detail)
	}
	t := p.screen()
	return t.Print(t.Runbook(detail)...)
}
