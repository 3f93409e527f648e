package valves_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/conformance"
	"github.com/runbook-engine/runbook/chaos/conformance/internal/valves"
)

func TestCloseConforms(t *testing.T) {
	dir := t.TempDir()
	intake := filepath.Join(dir, "intake")
	look := func(t *testing.T) string {
		state, err := os.ReadFile(intake)
		if err != nil {
			t.Fatal(err)
		}
		return string(state)
	}
	conformance.Run(t, conformance.Case{
		Injector:    valves.Injector,
		Fault:       "valves.close",
		Connections: "north: {valves: {dir: " + dir + "}}",
		Params:      "{pipeline: north, valve: intake}",
		Arrange: func(t *testing.T) {
			if err := os.WriteFile(intake, []byte("open"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		State: look,
		Suffers: func(t *testing.T) error { // what flows through the valve
			_, until, closed := strings.Cut(look(t), " ")
			if at, err := time.Parse(time.RFC3339Nano, until); closed && (err != nil || time.Now().Before(at)) {
				return errors.New("nothing passes")
			}
			return nil
		},
	})
}
