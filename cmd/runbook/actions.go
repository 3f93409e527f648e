package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/terminal"
)

func (p *program) actionsCommand() *cobra.Command {
	var output *choice
	var markdown bool
	list := &cobra.Command{
		Use:   "actions",
		Short: "List what runbooks can do",
		Example: `  runbook actions
  runbook actions show postgres.terminate_backends`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.listActions(output.value, markdown) },
	}
	output = outputFlag(list, "text", "json")
	list.Flags().BoolVar(&markdown, "markdown", false, "print the whole reference, for docs/actions.md")
	if err := list.Flags().MarkHidden("markdown"); err != nil {
		panic(err) // the flag is not there
	}
	list.AddCommand(p.showActionCommand())
	return list
}

func (p *program) showActionCommand() *cobra.Command {
	var output *choice
	show := &cobra.Command{
		Use:               "show NAME",
		Short:             "Print the reference of an action, from its declaration",
		Example:           "  runbook actions show postgres.terminate_backends",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeActions,
		RunE:              func(_ *cobra.Command, args []string) error { return p.showAction(args[0], output.value) },
	}
	output = outputFlag(show, "text", "json")
	return show
}

func (p *program) listActions(output string, markdown bool) error {
	all := api.DescribeAll(std.Catalog(nil))
	t := p.screen()
	switch {
	case markdown:
		return t.Print(terminal.ActionsPage(all)...)
	case output == "json":
		return p.json(all)
	}
	rows := make([][]string, len(all))
	for i, a := range all {
		first, _, _ := strings.Cut(a.Doc, ". ")
		rows[i] = []string{a.Name, string(a.Risk), strings.TrimSuffix(first, ".")}
	}
	return t.Table([]string{"NAME", "RISK", "WHAT IT DOES"}, rows)
}

func (p *program) showAction(name, output string) error {
	catalog := std.Catalog(nil)
	a, known := catalog.Get(name)
	if !known {
		return unknown("action", name, catalog.Names())
	}
	if output == "json" {
		return p.json(api.Describe(a))
	}
	t := p.screen()
	return t.Print(t.Action(api.Describe(a))...)
}
