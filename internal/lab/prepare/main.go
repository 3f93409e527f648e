// Command prepare builds what the tests would otherwise build on first use,
// which takes longer than a test may: a current Alertmanager,
// an S3 server, a Kubernetes cluster.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

func main() {
	for _, build := range []func(context.Context) (string, error){lab.CurrentAlertmanager, lab.S3Server, testcluster.Build} {
		path, err := build(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, "prepare:", err)
			os.Exit(1)
		}
		fmt.Println(path)
	}
}
