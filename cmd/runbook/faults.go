package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/terminal"
)

func (p *program) faultsCommand() *cobra.Command {
	var output *choice
	var markdown bool
	list := &cobra.Command{
		Use:   "faults",
		Short: "List what game days can inject",
		Example: `  runbook faults
  runbook faults show toxiproxy.latency`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return p.listFaults(output.value, markdown) },
	}
	output = outputFlag(list, "text", "json")
	list.Flags().BoolVar(&markdown, "markdown", false, "print the whole reference, for docs/faults.md")
	if err := list.Flags().MarkHidden("markdown"); err != nil {
		panic(err) // the flag is not there
	}
	list.AddCommand(p.showFaultCommand())
	return list
}

func (p *program) showFaultCommand() *cobra.Command {
	var output *choice
	show := &cobra.Command{
		Use:               "show NAME",
		Short:             "Print the reference of a fault, from its declaration",
		Example:           "  runbook faults show toxiproxy.latency",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeFaults,
		RunE:              func(_ *cobra.Command, args []string) error { return p.showFault(args[0], output.value) },
	}
	output = outputFlag(show, "text", "json")
	return show
}

func (p *program) listFaults(output string, markdown bool) error {
	all := api.DescribeFaults(std.Catalog(nil))
	t := p.screen()
	switch {
	case markdown:
		return t.Print(terminal.FaultsPage(all)...)
	case output == "json":
		return p.json(all)
	}
	rows := make([][]string, len(all))
	for i, f := range all {
		first, _, _ := strings.Cut(f.Doc, ". ")
		rows[i] = []string{f.Name, strings.TrimSuffix(first, ".")}
	}
	return t.Table([]string{"NAME", "WHAT IT DOES"}, rows)
}

func (p *program) showFault(name, output string) error {
	catalog := std.Catalog(nil)
	f, known := catalog.Get(name)
	if !known {
		return unknown("fault", name, catalog.Names())
	}
	if output == "json" {
		return p.json(api.DescribeFault(f))
	}
	t := p.screen()
	return t.Print(t.Fault(api.DescribeFault(f))...)
}

func completeFaults(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return std.Catalog(nil).Names(), cobra.ShellCompDirectiveNoFileComp
}
