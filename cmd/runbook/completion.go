package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/client"
)

func (p *program) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Long: `Print the completion script of a shell. It completes commands, flags, the names
of runbooks and actions, and the ids of runs.`,
		Example: `  source <(runbook completion bash)
  runbook completion zsh > "${fpath[1]}/_runbook"
  runbook completion fish > ~/.config/fish/completions/runbook.fish`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.out, true)
			case "zsh":
				return root.GenZshCompletion(p.out)
			case "fish":
				return root.GenFishCompletion(p.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(p.out)
			}
			return usage("there is no completion for %q; one of: bash, zsh, fish, powershell", args[0])
		},
	}
}

func completeActions(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, a := range std.Catalog(nil).All() {
		names = append(names, a.Name+"\t"+string(a.Risk))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeWithin is how long a person waits for a key to do something.
const completeWithin = 2 * time.Second

// completeRunbooks offers the names of the runbooks, wherever they are.
func (p *program) completeRunbooks(r *reach) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, stop := context.WithTimeout(cmd.Context(), completeWithin)
		defer stop()
		list, err := p.runbooks(ctx, r)
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
		}
		var names []string
		for _, rb := range list {
			names = append(names, rb.Name+"\t"+rb.Summary)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeRuns offers the ids of the newest runs of a server; to look into a
// data directory takes too long for a key.
func (p *program) completeRuns(r *reach) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		url := r.url(p)
		if len(args) > 0 || url == "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, stop := context.WithTimeout(cmd.Context(), completeWithin)
		defer stop()
		ids := []string{"last"}
		c, err := r.remote(p, url)
		if err == nil {
			rows, listErr := c.Runs(ctx, client.Filter{Limit: 50})
			for _, row := range rows {
				ids = append(ids, row.ID+"\t"+string(row.Outcome))
			}
			err = listErr
		}
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}
