package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/demo"
)

func (p *program) labCommand() *cobra.Command {
	lab := &cobra.Command{
		Use:   "lab",
		Short: "Try the engine in a real environment on this machine",
		Args:  cobra.NoArgs,
	}
	lab.AddCommand(p.labDemoCommand())
	return lab
}

func (p *program) labDemoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Play the main job: a real alert becomes a verified fix",
		Long: `Start PostgreSQL, a demo service, Prometheus, Alertmanager and the engine on the
loopback, exhaust the service's connection pool, and show how the alert becomes
a verified fix, with measured times. Then play the same trouble as a game day, with
the runbook and without.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return &failure{exitUnreachable, fmt.Errorf("find our own program: %w", err)}
			}
			if err := demo.Play(cmd.Context(), demo.Options{Program: program, Keep: keep, Out: p.out}); err != nil {
				return &failure{exitNotFixed, err}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave everything up until Ctrl-C, and print the addresses")
	return cmd
}
