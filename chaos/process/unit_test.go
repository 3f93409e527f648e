//go:build linux

// A systemd can not run inside a test. The program systemctl here is a stand-in:
// a script that answers what the real one answers to the one question we ask.

package process_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAUnitMeansItsMainProcess(t *testing.T) {
	s := newService(t, false)
	s.start(t)
	bin := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
[ "$*" = "show --property=MainPID --value -- api.service" ] && exec echo %d
[ "$*" = "show --property=MainPID --value -- down.service" ] && exec echo 0
exit 1
`, s.pid(t))
	if err := os.WriteFile(filepath.Join(bin, "systemctl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for unit, want := range map[string]string{"api.service": fmt.Sprintf("process/api/%d@", s.pid(t)), "down.service": ""} {
		catalog := engine(t, "api: {process: {unit: "+unit+", state_dir: "+s.state+"}}")
		selected, err := mustBind(t, catalog, "process.stop", "{process: api}").Targets(t.Context())
		if got := strings.Join(selected.IDs(), " "); err != nil || !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s means %q: %v", unit, got, err)
		}
	}
	catalog := engine(t, "api: {process: {unit: none.service, state_dir: "+s.state+"}}")
	if _, err := mustBind(t, catalog, "process.stop", "{process: api}").Targets(t.Context()); err == nil || !strings.Contains(err.Error(), "ask systemd for none.service") {
		t.Errorf("a question that fails: %v", err)
	}
}
