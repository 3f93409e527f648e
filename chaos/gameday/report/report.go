// Package report tells what drills have shown: as JSON, for a person to read as
// Markdown or as a page, and for CI as JUnit. All of it is made from results
// alone, and nothing of it asks anybody anything.
package report

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/run"
)

// Result is a drill that has ended.
type Result struct {
	Plan     gameday.Plan     `json:"plan"`
	Evidence gameday.Evidence `json:"evidence"`
	Verdict  verdict.Verdict  `json:"verdict"`
	// Runs are those of the evidence in full, with what their steps were given and
	// what came of them.
	Runs []run.Run `json:"runs,omitempty"`
}

// Format is how a report is written.
type Format string

// The formats.
const (
	JSON     Format = "json"
	Markdown Format = "markdown"
	HTML     Format = "html"
	JUnit    Format = "junit"
)

// Formats are all of them.
func Formats() []Format { return []Format{JSON, Markdown, HTML, JUnit} }

// Write reports on one drill, or on several of the same game day with a summary
// of them.
func Write(w io.Writer, format Format, results ...Result) error {
	write, known := map[Format]func(io.Writer, []Result) error{
		JSON: writeJSON, Markdown: writeMarkdown, HTML: writeHTML, JUnit: writeJUnit,
	}[format]
	if !known {
		return fmt.Errorf("write a report: there is no format %q; one of: json, markdown, html, junit", format)
	}
	if err := write(w, results); err != nil {
		return fmt.Errorf("write a report as %s: %w", format, err)
	}
	return nil
}

// document is the report as JSON.
type document struct {
	Summary Summary  `json:"summary"`
	Results []Result `json:"results"`
}

func writeJSON(w io.Writer, results []Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(document{Summary: Summarise(results), Results: results})
}
