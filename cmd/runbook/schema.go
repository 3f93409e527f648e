package main

import (
	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/chaos/gameday"
	chaosstd "github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/runbooks"
)

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema runbook|gameday|config",
		Short: "Print the JSON Schema of documents, for editors",
		Example: `  runbook schema runbook > runbook.schema.json
  runbook schema gameday > gameday.schema.json
  runbook schema config > runbook-config.schema.json`,
		Long: `Print the JSON Schema of runbooks, of game days or of the engine's config. Editors
with the YAML language server check and complete by it, from a first line such as

  # yaml-language-server: $schema=runbook.schema.json`,
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"runbook", "gameday", "config"},
		RunE: func(_ *cobra.Command, args []string) error {
			switch args[0] {
			case "runbook":
				return p.json(runbooks.Schema(std.Catalog(nil)))
			case "gameday":
				return p.json(gameday.Schema(std.Catalog(nil), chaosstd.Catalog(nil)))
			case "config":
				return p.json(engine.ConfigSchema())
			}
			return usage("there is no schema of %q; one of: runbook, gameday, config", args[0])
		},
	}
}
