package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/version"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(p.out, "runbook %s (%s, %s, %s/%s)\n", version.Version(), version.Commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
