package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
)

func (p *program) resolveRunCommand() *cobra.Command {
	var r *reach
	var d api.Decide
	cmd := &cobra.Command{
		Use:   "resolve RUN --reason TEXT",
		Short: "End the page of a run: the matter is settled",
		Long: `End the page of a run: the alert by which it called people stops to fire. It ends by
itself when the alert that started the run does, and after a day. RUN is an id, the
beginning of one, or last.`,
		Example: `  runbook runs resolve last --reason "restarted by hand, INC-4711"`,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return p.resolveRun(cmd.Context(), r, args[0], d) },
	}
	r = reachFlags(cmd)
	cmd.ValidArgsFunction = p.completeRuns(r)
	cmd.Flags().StringVar(&d.Reason, "reason", "", "`TEXT` for the record: why")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is not there
	}
	return cmd
}

func (p *program) resolveRun(ctx context.Context, r *reach, meant string, d api.Decide) error {
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	defer c.stop()
	id, err := c.find(ctx, meant)
	if err == nil {
		err = c.work()
	}
	var done api.Resolved
	if err == nil {
		done, err = c.endPage(ctx, id, d)
	}
	switch {
	case err != nil:
		return err
	case !done.Ended && c.standalone():
		return &failure{exitUnreachable, fmt.Errorf("the page of %s has not ended yet, and is ended when this engine works again", id)}
	case !done.Ended:
		_, err = fmt.Fprintf(p.out, "the engine goes on to end the page of %s\n", id)
	case done.Missed != "":
		_, err = fmt.Fprintf(p.out, "the page of %s has ended, but not everywhere: %s\n", id, done.Missed)
	default:
		_, err = fmt.Fprintf(p.out, "the page of %s has ended\n", id)
	}
	return err
}

// endsWithin is how long an engine that is only in this process stays to end a
// page: one that was killed is still believed to keep it for half a minute.
const endsWithin = time.Minute

func (c *connection) endPage(ctx context.Context, id string, d api.Decide) (done api.Resolved, err error) {
	for began, again := time.Now(), false; ; again = true {
		done, err = c.Resolve(ctx, id, d)
		var problem *client.Problem
		if again && errors.As(err, &problem) && problem.Code == api.CodeEnded {
			return api.Resolved{ID: id, Ended: true}, nil
		}
		if err != nil || done.Ended || !c.standalone() || time.Since(began) > endsWithin {
			return done, err
		}
	}
}
