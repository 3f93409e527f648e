package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// choice is a flag with a few possible values.
type choice struct {
	value string
	among []string
}

func (c *choice) String() string { return c.value }

func (c *choice) Type() string { return strings.Join(c.among, "|") }

func (c *choice) Set(value string) error {
	if !slices.Contains(c.among, value) {
		return fmt.Errorf("one of: %s", strings.Join(c.among, ", "))
	}
	c.value = value
	return nil
}

// outputFlag adds -o; the first form is the default.
func outputFlag(cmd *cobra.Command, forms ...string) *choice {
	c := &choice{value: forms[0], among: forms}
	cmd.Flags().VarP(c, "output", "o", "form of the output")
	mustComplete(cmd, "output", forms...)
	return c
}

func mustComplete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is not there: a mistake in the command's own code
	}
}
