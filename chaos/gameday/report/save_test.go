package report_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/report"
	"github.com/runbook-engine/runbook/internal/run"
)

func TestSaveKeepsTheRawEvidence(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "reports", "today")
	body := `{"status":"firing","alerts":[]}`
	r := result(func(_ *gameday.Plan, e *gameday.Evidence) { e.Webhooks = []json.RawMessage{[]byte(body)} })
	step := run.Step{ID: "release", With: json.RawMessage(`{"limit":20}`), Results: []run.Result{{Output: json.RawMessage(`{"ended":true}`)}}}
	r.Runs = []run.Run{{ID: r.Evidence.Runs[0].ID, Steps: []run.Step{step}}}
	if err := report.Save(dir, r); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "report.md", "report.html", "junit.xml"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	var whole run.Run
	raw := filepath.Join(dir, "evidence", "orders-pool-exhaustion-20260303-100000")
	for name, into := range map[string]any{"plan": &gameday.Plan{}, "evidence": &gameday.Evidence{}, "probe-checkout": &gameday.Series{}, "run-db-pool-exhausted-f1-1": &whole, "webhook-01": &map[string]any{}} {
		text, err := os.ReadFile(filepath.Join(raw, name+".json"))
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s := whole.Steps; len(s) != 1 || !strings.Contains(string(s[0].With), "20") || !strings.Contains(string(s[0].Results[0].Output), "true") {
		t.Errorf("what the step was given, or what came of it, is not kept: %+v", s)
	}
}

// Names of others do not lead out of the folder.
func TestSaveStaysInItsFolder(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "reports")
	r := result(func(_ *gameday.Plan, e *gameday.Evidence) {
		e.ID, e.Probes[0].ID, e.Runs[0].ID = "../../out", "/etc/passwd", "..\x00/../../x"
	})
	if err := report.Save(dir, r); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(above)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
