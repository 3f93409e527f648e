package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/terminal"
	"github.com/runbook-engine/runbook/runbooks"
)

func (p *program) runsCommand() *cobra.Command {
	var r *reach
	var output *choice
	var f client.Filter
	outcome := choice{among: []string{"fixed", "not_fixed", "worse", "unknown", "skipped", "cancelled"}}
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List runs, newest first",
		Example: `  runbook runs --running
  runbook runs --runbook db-pool-exhausted --outcome not_fixed
  runbook runs show last
  runbook runs watch last`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.Outcome = outcome.value
			return p.listRuns(cmd.Context(), r, f, output.value)
		},
	}
	r = reachFlags(cmd)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&f.Runbook, "runbook", "", "only runs of the runbook `NAME`")
	cmd.Flags().Var(&outcome, "outcome", "only runs that ended so")
	mustComplete(cmd, "outcome", outcome.among...)
	cmd.Flags().BoolVar(&f.Running, "running", false, "only runs under way")
	cmd.Flags().BoolVar(&f.DryRuns, "dry-runs", false, "dry runs too")
	cmd.Flags().IntVar(&f.Limit, "limit", 20, "at most `N` runs")
	cmd.AddCommand(p.showRunCommand(), p.watchRunCommand(), p.cancelRunCommand(), p.resolveRunCommand())
	return cmd
}

const maxLimit = 1000

func (p *program) listRuns(ctx context.Context, r *reach, f client.Filter, output string) error {
	if f.Limit < 1 || f.Limit > maxLimit {
		return usage("--limit must be from 1 to %d", maxLimit)
	}
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	defer c.stop()
	rows, err := c.Runs(ctx, f)
	if err != nil {
		return err
	}
	if output == "json" {
		return p.json(rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(p.out, "no runs")
		return err
	}
	return p.screen().Table([]string{"STARTED", "OUTCOME", "BY", "RUN", "WHY"}, runRows(rows, time.Now()))
}

func runRows(rows []runs.Row, now time.Time) [][]string {
	out := make([][]string, len(rows))
	for i, row := range rows {
		outcome := string(row.Outcome)
		why := row.Reason
		if row.Status == run.Running {
			outcome = "running"
		}
		if row.WaitsFor != "" {
			outcome, why = "waiting", row.WaitsFor
		}
		if row.Mode != runbooks.ModeLive {
			outcome += " (" + strings.ReplaceAll(string(row.Mode), "_", " ") + ")"
		}
		by := row.Actor
		if row.Alert != "" {
			by = row.Alert
		}
		out[i] = []string{terminal.Ago(row.StartedAt, now), outcome, by, row.ID, why}
	}
	return out
}

// find gives the id of the run that a person means: an id, the unique beginning
// of one or of its last part, or the newest. Dry runs are meant only where no
// other run can be.
func (c *connection) find(ctx context.Context, meant string) (string, error) {
	if meant == "last" {
		return c.newest(ctx, false)
	}
	rows, err := c.Runs(ctx, client.Filter{DryRuns: true, Limit: maxLimit})
	if err != nil {
		return "", err
	}
	var found, dry []string
	for _, row := range rows {
		switch {
		case row.ID == meant:
			return row.ID, nil
		case !begins(row.ID, meant):
		case row.Mode == runbooks.ModeDryRun:
			dry = append(dry, row.ID)
		default:
			found = append(found, row.ID)
		}
	}
	return only(meant, found, dry)
}

// findUnderWay is for what can only be done to a run under way: one that has
// ended is meant only where no other can be.
func (c *connection) findUnderWay(ctx context.Context, meant string) (string, error) {
	if meant == "last" {
		return c.newest(ctx, true)
	}
	rows, err := c.Runs(ctx, client.Filter{Running: true, DryRuns: true, Limit: maxLimit})
	if err != nil {
		return "", err
	}
	var found []string
	for _, row := range rows {
		if begins(row.ID, meant) {
			found = append(found, row.ID)
		}
	}
	if len(found) == 0 {
		return c.find(ctx, meant)
	}
	return only(meant, found, nil)
}

func begins(id, meant string) bool {
	_, episode, _ := strings.Cut(id, ".")
	_, own, _ := strings.Cut(episode, "-")
	return strings.HasPrefix(id, meant) || strings.HasPrefix(episode, meant) || strings.HasPrefix(own, meant)
}

const maxOffered = 10

func only(meant string, found, dry []string) (string, error) {
	if len(found) == 0 {
		found = dry
	}
	switch len(found) {
	case 0:
		return meant, nil // it may be older than the list, or newer
	case 1:
		return found[0], nil
	}
	offered := strings.Join(found[:min(len(found), maxOffered)], "\n  ")
	return "", usage("%q can be any of %d runs:\n  %s", meant, len(found), offered)
}

// someNewest are enough to have the run among them that began last: of those
// that have ended Temporal lists the first to end last.
const someNewest = 50

func (c *connection) newest(ctx context.Context, underWay bool) (string, error) {
	rows, err := c.Runs(ctx, client.Filter{Running: underWay, Limit: someNewest})
	switch {
	case err != nil:
		return "", err
	case len(rows) > 0:
		return rows[0].ID, nil
	case underWay:
		return c.newest(ctx, false)
	}
	return "", usage("there is no run yet")
}
