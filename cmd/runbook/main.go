// Command runbook is the engine and its terminal.
package main

import (
	"os"

	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/std"
)

func main() {
	code, child := backstop.Main(os.Args[1:], std.Modes()...)
	if !child {
		code = runProgram(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	}
	os.Exit(code)
}
