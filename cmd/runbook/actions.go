package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

func (p *program) actionsCommand() *cobra.Command {
	var output string
	list := &cobra.Command{
		Use:     "actions",
		Short:   "List what runbooks can do",
		Example: "  runbook actions\n  runbook actions show postgres.terminate_backends",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.listActions(output) },
	}
	list.PersistentFlags().StringVarP(&output, "output", "o", "text", "text or json")
	show := &cobra.Command{
		Use:               "show NAME",
		Short:             "Print the reference of an action, from its declaration",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeActions,
		RunE:              func(_ *cobra.Command, args []string) error { return p.showAction(args[0], output) },
	}
	list.AddCommand(show)
	return list
}

func completeActions(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return std.Catalog(nil).Names(), cobra.ShellCompDirectiveNoFileComp
}

// actionView is an action in JSON.
type actionView struct {
	Name    string       `json:"name"`
	Doc     string       `json:"doc"`
	Risk    actions.Risk `json:"risk"`
	Selects bool         `json:"selects_targets"`
	Undoes  bool         `json:"can_undo"`
	Example string       `json:"example"`
	Params  any          `json:"params,omitempty"`
	Result  any          `json:"output,omitempty"`
}

func viewOf(a actions.Action, whole bool) actionView {
	v := actionView{Name: a.Name, Doc: a.Doc, Risk: a.Risk, Selects: a.Selects, Undoes: a.Undoes(), Example: a.Example}
	if whole {
		v.Params, v.Result = a.Params.Schema(false), a.Result.Schema(false)
	}
	return v
}

func (p *program) listActions(output string) error {
	all := std.Catalog(nil).All()
	if output == "json" {
		views := make([]actionView, len(all))
		for i, a := range all {
			views[i] = viewOf(a, false)
		}
		return p.json(views)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tRISK\tWHAT IT DOES")
	for _, a := range all {
		first, _, _ := strings.Cut(a.Doc, ". ")
		fmt.Fprintf(w, "%s\t%s\t%s\n", a.Name, a.Risk, strings.TrimSuffix(first, "."))
	}
	return w.Flush()
}

func (p *program) json(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

func (p *program) showAction(name, output string) error {
	catalog := std.Catalog(nil)
	a, known := catalog.Get(name)
	if !known {
		return &failure{exitUsage, fmt.Errorf("there is no action %q; %s", name, document.Suggest(name, catalog.Names()))}
	}
	if output == "json" {
		return p.json(viewOf(a, true))
	}
	return writeAction(p.out, a)
}

func writeAction(out io.Writer, a actions.Action) error {
	fmt.Fprintf(out, "%s   %s\n\n%s\n", a.Name, a.Risk, a.Doc)
	if a.Selects {
		fmt.Fprintln(out, "\nIt selects its targets; finding none is an error unless the step says allow_empty: true.")
	}
	if a.Undoes() {
		fmt.Fprintln(out, "\nIt can be undone.")
	}
	fmt.Fprintln(out, "\nParameters:")
	if err := writeFields(out, a.Params.Fields); err != nil {
		return err
	}
	where := "steps.ID.output, and by name in until"
	if a.Selects {
		where = "each of steps.ID.output.results; steps.ID.output.count is their number"
	}
	fmt.Fprintf(out, "\nOutput (%s):\n", where)
	if err := writeFields(out, a.Result.Fields); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\nExample:\n  do: %s\n  with: %s\n", a.Name, a.Example)
	return err
}

func writeFields(out io.Writer, fields []shape.Field) error {
	if len(fields) == 0 {
		fmt.Fprintln(out, "  none")
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range fields {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", f.Name, f.Type, presence(f), f.Doc)
	}
	return w.Flush()
}

func presence(f shape.Field) string {
	switch {
	case f.HasDefault:
		return "default " + f.Default
	case f.Required:
		return "required"
	default:
		return "optional"
	}
}
