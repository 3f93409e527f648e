package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/version"
)

type build struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (p *program) versionCommand() *cobra.Command {
	var output *choice
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  runbook version\n  runbook version -o json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.version(output.value) },
	}
	output = outputFlag(cmd, "text", "json")
	return cmd
}

func (p *program) version(output string) error {
	b := build{
		Name: "runbook", Version: version.Version(), Commit: version.Commit(), Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if output == "json" {
		return p.json(b)
	}
	_, err := fmt.Fprintf(p.out, "%s %s (%s, %s, %s)\n", b.Name, b.Version, b.Commit, b.Go, b.Platform)
	return err
}
