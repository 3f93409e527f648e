package demo_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/demo"
)

// The demo is the promise of the README: it is played as a user would, with the
// program itself.
func TestTheDemoEndsFixed(t *testing.T) {
	program := filepath.Join(t.TempDir(), "runbook")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/runbook-engine/runbook/cmd/runbook").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	var out strings.Builder
	if err := demo.Play(t.Context(), demo.Options{Program: program, Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	// In the timeline the story is in order.
	_, timeline, _ := strings.Cut(out.String(), "Timeline, measured:")
	story := regexp.MustCompile(`(?s)pool of orders-api is full.*pending.*fires.*webhook.*step pressure: prometheus.query.*` +
		`step release: postgres.terminate_backends on \d+ target.*relief.*run ended: fixed`)
	if !story.MatchString(timeline) {
		t.Errorf("the story is not as it should be:\n%s", out.String())
	}
	acts := regexp.MustCompile(`(?s)The game day:.*effect seen.*webhook.*healed lock.*\npassed, recovered because of: runbook\n.*` +
		`with the runbook turned off.*healed lock.*\nfailed\n.*\(run_missing\)`)
	if !acts.MatchString(out.String()) || !strings.Contains(out.String(), "alert pending") {
		t.Errorf("the game days are not as they should be:\n%s", out.String())
	}
}
