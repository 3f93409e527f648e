// Command prepare builds what the tests would otherwise build on first use,
// which takes longer than a test may: a current Alertmanager.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/runbook-engine/runbook/internal/lab"
)

func main() {
	path, err := lab.CurrentAlertmanager(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
	fmt.Println(path)
}
