package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
)

func (p *program) cancelRunCommand() *cobra.Command {
	var r *reach
	var output *choice
	var cancel api.Cancel
	cmd := &cobra.Command{
		Use:   "cancel RUN --reason TEXT",
		Short: "Stop a run",
		Long: `Stop a run: it begins nothing more, and ends as cancelled. What an action has begun
is left to end. With --undo what can be taken back is taken back, last change
first. RUN is an id, the beginning of one, or last.`,
		Example: `  runbook runs cancel last --reason "wrong database"
  runbook runs cancel db-pool-exhausted.exec-k3f9 --reason "made it worse" --undo`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.cancelRun(cmd.Context(), r, args[0], cancel, output.value)
		},
	}
	r = reachFlags(cmd)
	cmd.ValidArgsFunction = p.completeRuns(r)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&cancel.Reason, "reason", "", "`TEXT` for the record: why")
	cmd.Flags().BoolVar(&cancel.Undo, "undo", false, "take back what can be taken back")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is not there
	}
	return cmd
}

// cancelRun asks first and lets an engine in this process work only then, so
// that nothing more is begun.
func (p *program) cancelRun(ctx context.Context, r *reach, meant string, cancel api.Cancel, output string) error {
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	id, err := c.findUnderWay(ctx, meant)
	if err == nil {
		err = c.Cancel(ctx, id, cancel)
	}
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
	return p.newViewer(ctx, c, output).cancelled(id)
}
