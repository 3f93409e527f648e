package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// files are the reports of a folder.
var files = map[Format]string{JSON: "report.json", Markdown: "report.md", HTML: "report.html", JUnit: "junit.xml"}

// Save writes every report into a folder, which it makes, and beside them the
// raw evidence of each drill: evidence/ID/ with the plan, the webhooks as they
// came, the looks of each probe, the runs and all the rest. Only the user may read them:
// what alerts and systems say is nobody else's business.
func Save(dir string, results ...Result) error {
	root, err := folder(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, format := range Formats() {
		var b bytes.Buffer
		if err := Write(&b, format, results...); err != nil {
			return err
		}
		if err := root.WriteFile(files[format], b.Bytes(), 0o600); err != nil {
			return fmt.Errorf("save a report: %w", err)
		}
	}
	for _, r := range results {
		if err := saveEvidence(root, r); err != nil {
			return fmt.Errorf("save the evidence of %s: %w", r.Evidence.ID, err)
		}
	}
	return nil
}

func folder(dir string) (*os.Root, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("save a report: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("save a report: %w", err)
	}
	return root, nil
}

func saveEvidence(root *os.Root, r Result) error {
	dir := filepath.Join("evidence", fileName(r.Evidence.ID))
	if err := root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parts := map[string]any{"plan": r.Plan, "evidence": r.Evidence, "verdict": r.Verdict}
	for i, body := range r.Evidence.Webhooks {
		parts[fmt.Sprintf("webhook-%02d", i+1)] = body
	}
	for _, s := range r.Evidence.Probes {
		parts["probe-"+fileName(s.ID)] = s
	}
	for _, run := range r.Evidence.Runs {
		parts["run-"+fileName(run.ID)] = run
	}
	for _, run := range r.Runs {
		parts["run-"+fileName(run.ID)] = run
	}
	for name, part := range parts {
		text, err := json.MarshalIndent(part, "", "  ")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := root.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o600); err != nil {
			return err
		}
	}
	return nil
}

var unsafe = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// fileName is a name of somebody else as that of a file.
func fileName(name string) string {
	plain := unsafe.ReplaceAllString(name, "-")
	if plain == "" {
		return "unnamed"
	}
	return plain[:min(len(plain), 120)]
}
