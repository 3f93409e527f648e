// Command program prints its version and commit.
package main

import (
	"fmt"

	"github.com/runbook-engine/runbook/internal/version"
)

func main() { fmt.Print(version.Version(), " ", version.Commit()) }
