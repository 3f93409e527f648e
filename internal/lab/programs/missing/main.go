// Command missing prints the packages that a lab still needs on this machine,
// one a line, by their names for a package manager: "apt" or "brew".
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
	if len(os.Args) != 2 || names[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: missing apt|brew")
		os.Exit(2)
	}
	for _, program := range programs.All() {
		if _, err := program.Find(); err != nil {
			fmt.Println(names[os.Args[1]](program))
		}
	}
}
