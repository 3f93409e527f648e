package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
)

func (p *program) watchRunCommand() *cobra.Command {
	var r *reach
	var output *choice
	cmd := &cobra.Command{
		Use:   "watch RUN",
		Short: "Follow a run to its end",
		Long: `Follow a run to its end. Without a server, a run that stopped with its terminal
goes on from where it was. RUN is an id, the beginning of one, or last.`,
		Example: `  runbook runs watch last
  runbook runs watch db-pool-exhausted.exec-k3f9`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.watchRun(cmd.Context(), r, args[0], output.value)
		},
	}
	r = reachFlags(cmd)
	cmd.ValidArgsFunction = p.completeRuns(r)
	output = outputFlag(cmd, "text", "json")
	return cmd
}

func (p *program) watchRun(ctx context.Context, r *reach, meant, output string) error {
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	id, err := c.find(ctx, meant)
	if err == nil {
		err = p.sayOthers(ctx, c, id)
	}
	if err == nil {
		err = c.work()
	}
	if err != nil {
		c.stop()
		return err
	}
	return p.newViewer(ctx, c, output).watch(id)
}

// sayOthers names the runs that go on too when an engine in this process starts
// to work.
func (p *program) sayOthers(ctx context.Context, c *connection, id string) error {
	if !c.standalone() {
		return nil
	}
	rows, err := c.Runs(ctx, client.Filter{Running: true, Limit: maxLimit})
	if err != nil {
		return err
	}
	for _, row := range rows {
		if row.ID != id && row.Status == run.Running {
			p.note("run %s is under way too, and goes on", row.ID)
		}
	}
	return nil
}
