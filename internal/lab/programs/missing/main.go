// Command missing prints the packages that this machine still needs for a lab
// ("lab") or also for the tests ("tests"), one a line, by their names for a
// package manager: "apt" or "brew".
package main

import (
	"fmt"
	"os"

	"github.com/runbook-engine/runbook/internal/lab/programs"
)

func main() {
	names := map[string]func(programs.Program) string{
		"apt":  func(p programs.Program) string { return p.Apt },
		"brew": func(p programs.Program) string { return p.Brew },
	}
	needs := map[string][]programs.Program{
		"lab":   programs.All(),
		"tests": append(programs.All(), programs.ForTests()...),
	}
	if len(os.Args) != 3 || names[os.Args[1]] == nil || needs[os.Args[2]] == nil {
		fmt.Fprintln(os.Stderr, "usage: missing apt|brew lab|tests")
		os.Exit(2)
	}
	for _, program := range needs[os.Args[2]] {
		if _, err := program.Find(); err != nil {
			fmt.Println(names[os.Args[1]](program))
		}
	}
}
