package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) showRunCommand() *cobra.Command {
	var r *reach
	var output *choice
	cmd := &cobra.Command{
		Use:   "show RUN",
		Short: "Print everything about a run",
		Long: `Print everything about a run: how it ended, each step with its parameters, output,
targets and checks, and the timeline. RUN is an id, the beginning of one, or last.`,
		Example: `  runbook runs show last
  runbook runs show db-pool-exhausted.exec-k3f9 -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.showRun(cmd.Context(), r, args[0], output.value)
		},
	}
	r = reachFlags(cmd)
	cmd.ValidArgsFunction = p.completeRuns(r)
	output = outputFlag(cmd, "text", "json")
	return cmd
}

func (p *program) showRun(ctx context.Context, r *reach, meant, output string) error {
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	defer c.stop()
	id, err := c.find(ctx, meant)
	if err != nil {
		return err
	}
	shown, err := c.Run(ctx, id)
	if err != nil {
		return err
	}
	if output == "json" {
		return p.json(shown)
	}
	t := p.screen()
	return t.Print(t.Timeline(shown, time.Now())...)
}
