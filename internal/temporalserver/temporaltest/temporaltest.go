// Package temporaltest gives the tests of a package one embedded Temporal server,
// and clients of it.
package temporaltest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/workflows"
)

// Main starts a server, hands it and a folder of its own to prepare, runs the
// tests, and stops it. What it gives is for os.Exit.
func Main(m *testing.M, prepare func(s *temporalserver.Server, dir string) (end func(), err error)) int {
	dir, err := os.MkdirTemp("", "temporaltest")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	server, err := temporalserver.Start(context.Background(), temporalserver.Options{Dir: dir, SearchAttributes: workflows.SearchAttributes()})
	if err != nil {
		return fail(err)
	}
	defer server.Stop()
	end, err := prepare(server, dir)
	if err != nil {
		return fail(err)
	}
	defer end()
	return m.Run()
}

// Keep is a prepare that only keeps the server.
func Keep(into **temporalserver.Server) func(*temporalserver.Server, string) (func(), error) {
	return func(s *temporalserver.Server, _ string) (func(), error) {
		*into = s
		return func() {}, nil
	}
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// Dial connects to a server until the test ends, and logs nothing.
func Dial(t testing.TB, s *temporalserver.Server) client.Client {
	t.Helper()
	options := s.ClientOptions()
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	c, err := client.Dial(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
