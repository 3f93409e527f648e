package deploy_test

import (
	"io/fs"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/runbook-engine/runbook/deploy"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

func TestPromtoolAcceptsTheRules(t *testing.T) {
	files, err := fs.Glob(deploy.AlertRules(), "*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("rule files %v, %v", files, err)
	}
	accepts(t, programs.Promtool, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, inAlerts(files)...)...)
}

func TestRulesFireWhenTheyShould(t *testing.T) {
	tests, err := filepath.Glob("testdata/*_test.yml")
	if err != nil || len(tests) == 0 {
		t.Fatalf("tests of rules %v, %v", tests, err)
	}
	accepts(t, programs.Promtool, append([]string{"test", "rules"}, tests...)...)
}

func inAlerts(files []string) []string {
	var paths []string
	for _, file := range files {
		paths = append(paths, "alerts/"+file)
	}
	return paths
}

// accepts fails the test when a checking program is not content.
func accepts(t *testing.T, checker programs.Program, args ...string) {
	t.Helper()
	path, err := checker.Find()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", checker.Name, args, err, out)
	}
}
