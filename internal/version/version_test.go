package version

import (
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestLinkerSetsBoth(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	const here = "github.com/runbook-engine/runbook/internal/version"
	flags := "-X " + here + ".version=v9.8.7 -X " + here + ".commit=abc"
	if out, err := exec.Command("go", "build", "-o", program, "-ldflags", flags, "./testdata/program").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil || string(out) != "v9.8.7 abc" {
		t.Errorf("printed %q, %v", out, err)
	}
}

func TestFallsBackToWhatGoRecorded(t *testing.T) {
	info := &debug.BuildInfo{
		Main:     debug.Module{Version: "(devel)"},
		Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}},
	}
	if got := fromModule(info, true); got != "devel" {
		t.Errorf("version %q", got)
	}
	if got := fromRepository(info, true); got != "abc-dirty" {
		t.Errorf("commit %q", got)
	}
	if got := fromModule(nil, false) + fromRepository(nil, false); got != "" {
		t.Errorf("%q out of nothing", got)
	}
}
