package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/terminal"
)

func (p *program) statusCommand() *cobra.Command {
	return p.lookCommand(&cobra.Command{
		Use:     "status",
		Short:   "Print how the engine is",
		Long:    "Print how the engine is: the kill switch, the storm breaker, and what it can not do now.",
		Example: "  runbook status",
	}, reachFlags, func(ctx context.Context, c *connection, output string) error {
		p.told.Do(func() {}) // the output says it
		status, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return p.showStatus(status, output)
	})
}

func (p *program) queueCommand() *cobra.Command {
	return p.lookCommand(&cobra.Command{
		Use:     "queue",
		Short:   "List the runs that wait for their turn",
		Long:    "List the runs that wait for their turn, the first of them, and what each waits for.",
		Example: "  runbook queue\n  runbook queue -o json",
	}, reachFlags, func(ctx context.Context, c *connection, output string) error {
		list, err := c.Queue(ctx)
		return p.table(err, output, list, len(list), "nothing waits", []string{"SINCE", "SEVERITY", "RUN", "FOR", "WHY"}, func(i int) []string {
			w := list[i]
			return []string{terminal.Ago(w.Since, time.Now()), w.Severity, w.ID, string(w.Guard), w.Reason}
		})
	})
}

func (p *program) windowsCommand() *cobra.Command {
	return p.lookCommand(&cobra.Command{
		Use:   "windows",
		Short: "List maintenance windows and freezes",
		Long: `List maintenance windows and freezes: which are open, until when, and when the others
open next within a week. What a window says about autonomy is the most that
runbooks may do by themselves while it is open.`,
		Example: "  runbook windows\n  runbook windows -o json",
	}, reachFlags, func(ctx context.Context, c *connection, output string) error {
		list, err := c.Windows(ctx)
		return p.table(err, output, list, len(list), "no windows are configured", []string{"WINDOW", "NOW", "AUTONOMY", "CHANGES", "EVENT"}, func(i int) []string {
			return terminal.WindowRow(list[i], time.Now())
		})
	})
}

func (p *program) trustCommand() *cobra.Command {
	return p.lookCommand(&cobra.Command{
		Use:   "trust",
		Short: "List what runbooks may do by themselves, and why",
		Long: `List what each runbook may do by itself, and why: the lowest of what the runbook says,
what the engine and the calendar allow, and what game days have shown of this very
behaviour. Rules of the engine about labels of alerts come on top of it.`,
		Example: "  runbook trust\n  runbook trust -o json",
	}, documentFlags, func(ctx context.Context, c *connection, output string) error {
		list, err := c.Trust(ctx)
		return p.table(err, output, list, len(list), "no runbooks are loaded", []string{"RUNBOOK", "LEVEL", "TRUST"}, func(i int) []string {
			return []string{list[i].Name, string(list[i].Level), terminal.TrustText(list[i])}
		})
	})
}

// lookCommand is a command that asks an engine and prints what it says.
func (p *program) lookCommand(cmd *cobra.Command, flags func(*cobra.Command) *reach, look func(context.Context, *connection, string) error) *cobra.Command {
	var r *reach
	var output *choice
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.find(cmd.Context(), p)
		if err != nil {
			return err
		}
		defer c.stop()
		if err := c.workIfIdle(cmd.Context()); err != nil {
			return err
		}
		return look(cmd.Context(), c, output.value)
	}
	r = flags(cmd)
	output = outputFlag(cmd, "text", "json")
	return cmd
}

// workIfIdle lets an engine in this process work, because the ledger is kept by
// a worker. It does not where a run would go on that nobody asked for.
func (c *connection) workIfIdle(ctx context.Context) error {
	if !c.standalone() {
		return nil
	}
	rows, err := c.Runs(ctx, client.Filter{Running: true, Limit: 1})
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		return &failure{exitRefused, fmt.Errorf("run %s is under way here, and would go on\n  go on: %s\n  stop:  %s",
			rows[0].ID, c.command("watch", rows[0].ID), c.command("cancel", rows[0].ID))}
	}
	return c.work()
}

// find connects to an engine that is there, and makes none.
func (r *reach) find(ctx context.Context, p *program) (*connection, error) {
	if r.url(p) == "" && !r.hasState(p) {
		return nil, errWhichEngine
	}
	return r.connect(ctx, p)
}

var errWhichEngine = usage("say which engine: --server URL, or on its own machine --config FILE or --data-dir DIR")

// table prints a list as rows, or as it is for programs.
func (p *program) table(err error, output string, list any, n int, none string, heading []string, row func(int) []string) error {
	switch {
	case err != nil:
		return err
	case output == "json":
		return p.json(list)
	case n == 0:
		_, err := fmt.Fprintln(p.out, none)
		return err
	}
	rows := make([][]string, n)
	for i := range rows {
		rows[i] = row(i)
	}
	return p.screen().Table(heading, rows)
}

// backlogs are what becomes of the runs that waited, for people.
var backlogs = map[string]string{"process": "are carried out", "skip": "end as skipped"}

func (p *program) stormCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "storm", Short: "The storm breaker"}
	var r *reach
	var output *choice
	var process, skip bool
	var reason string
	reset := &cobra.Command{
		Use:   "reset (--process | --skip) --reason TEXT",
		Short: "Close the storm breaker",
		Long: `Close the storm breaker, which opened because alerts started more runs than usual. The
runs that have waited since then are carried out (--process) or end as skipped
(--skip). It needs the role admin.`,
		Example: `  runbook storm reset --process --reason "the switch is back, the rest is real"
  runbook storm reset --skip --reason "the alerts were false"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := api.StormReset{Backlog: "process", Reason: reason}
			if skip {
				request.Backlog = "skip"
			}
			url := r.url(p)
			if url == "" {
				return usage("the storm breaker is that of a server: --server URL")
			}
			c, err := r.remote(p, url)
			if err != nil {
				return err
			}
			status, err := c.ResetStorm(cmd.Context(), request)
			if err != nil {
				return err
			}
			if output.value == "json" {
				return p.json(status)
			}
			return p.screen().Print("the storm breaker is closed; the runs that waited " + backlogs[request.Backlog])
		},
	}
	r = reachFlags(reset)
	output = outputFlag(reset, "text", "json")
	reset.Flags().BoolVar(&process, "process", false, "carry out the runs that wait")
	reset.Flags().BoolVar(&skip, "skip", false, "let the runs that wait end as skipped")
	reset.Flags().StringVar(&reason, "reason", "", "`TEXT` for the record: why")
	reset.MarkFlagsOneRequired("process", "skip")
	reset.MarkFlagsMutuallyExclusive("process", "skip")
	if err := reset.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is not there
	}
	cmd.AddCommand(reset)
	return cmd
}

// hasState reports that it is said where an engine's state is on this machine.
func (r *reach) hasState(p *program) bool {
	return r.config != "" || r.dataDir != "" || r.hasDocuments(p) || p.env("RUNBOOK_DATA_DIR") != ""
}
