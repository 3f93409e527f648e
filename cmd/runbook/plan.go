package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

func (p *program) planCommand() *cobra.Command {
	var r *reach
	var output *choice
	var set []string
	cmd := &cobra.Command{
		Use:   "plan NAME",
		Short: "Print what a run would do, and what the guards would say",
		Long: `Print what a run by hand would do now, and what each guard would say: the steps, their
conditions, the exact targets and risks, found by a dry run; and whether the run
would be admitted, queued or refused, and why. Nothing is changed or booked.

Exit codes: 0 it would run, or wait; 1 problems; 2 wrong usage; 3 could not reach;
4 a guard or a condition would refuse it.`,
		Example: `  runbook plan db-pool-exhausted --set database=orders
  runbook plan db-pool-exhausted --set database=orders -o json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.plan(cmd.Context(), r, args[0], set, output.value)
		},
	}
	r = documentFlags(cmd)
	cmd.ValidArgsFunction = p.completeRunbooks(r)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringArrayVar(&set, "set", nil, "a parameter, `NAME=VALUE`; repeat for more")
	return cmd
}

func (p *program) plan(ctx context.Context, r *reach, name string, set []string, output string) error {
	params, err := parseSet(set)
	if err != nil {
		return err
	}
	if r.url(p) == "" && !r.hasDocuments(p) {
		return errNoDocuments
	}
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	x := &execution{viewer: p.newViewer(ctx, c, output), name: name, params: params, flags: execFlags{dryRun: true}}
	return x.close(x.foresee())
}

// foreseen is a plan for programs.
type foreseen struct {
	Name   string          `json:"name"`
	Guards []api.GuardSays `json:"guards"`
	Run    run.Run         `json:"run"` // the dry run
}

func (x *execution) foresee() error {
	if _, err := x.underWay(); err != nil {
		return err
	}
	if err := x.c.work(); err != nil {
		return &failure{exitUnreachable, err}
	}
	doc, err := x.c.Runbook(x.ctx, x.name)
	if err != nil {
		return err
	}
	guards, err := x.c.Plan(x.ctx, api.Plan{Runbook: x.name, Params: x.params})
	if err != nil {
		return err
	}
	started, err := x.c.Start(x.ctx, x.request(runbooks.ModeDryRun, newRequestID()))
	if err != nil {
		return err
	}
	dry, err := x.quietly(started.ID)
	if err != nil {
		return err
	}
	if err := x.showForeseen(doc, dry, guards); err != nil {
		return err
	}
	return verdictOf(dry, guards)
}

func (x *execution) showForeseen(doc api.RunbookDetail, dry run.Run, guards []api.GuardSays) error {
	if x.json() {
		return x.p.json(foreseen{Name: x.name, Guards: guards, Run: dry})
	}
	if err := x.showPlan(doc, dry); err != nil {
		return err
	}
	return x.t.Print(x.t.Guards(guards)...)
}

func verdictOf(dry run.Run, guards []api.GuardSays) error {
	for _, g := range guards {
		if g.State == ledger.Refused {
			return &failure{code: exitRefused}
		}
	}
	if !looked(dry) {
		return &failure{code: exitRefused}
	}
	return nil
}
