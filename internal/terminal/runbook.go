package terminal

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/runbook-engine/runbook/internal/api"
)

// Runbook is a document as a person reads it.
func (t *Terminal) Runbook(doc api.RunbookDetail) []string {
	lines := []string{t.style.strong.Render(Clean(doc.Name)) + "  " + Clean(doc.Summary)}
	for _, w := range doc.Warnings {
		lines = append(lines, t.style.warn.Render("warning: "+Clean(w)))
	}
	if doc.Description != "" {
		lines = append(lines, "")
		lines = append(lines, indent(strings.Split(strings.TrimSpace(CleanText(doc.Description)), "\n"))...)
	}
	lines = append(lines, "")
	lines = append(lines, columns(runbookFacts(doc))...)
	lines = append(lines, t.paramTable(doc.Params)...)
	for i, s := range doc.Steps {
		lines = append(lines, "")
		lines = append(lines, t.writtenStep(i+1, s)...)
	}
	if doc.Verify != nil {
		lines = append(lines, "", t.style.strong.Render("verify")+"  "+checkText(*doc.Verify))
		lines = append(lines, withLines(doc.Verify.With)...)
	}
	if len(doc.Otherwise) > 0 {
		lines = append(lines, "otherwise "+Clean(strings.Join(doc.Otherwise, ", then ")))
	}
	return lines
}

func runbookFacts(doc api.RunbookDetail) [][]string {
	var rows [][]string
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, Clean(value)})
		}
	}
	add("owner", doc.Owner)
	add("file", doc.File)
	add("digest", doc.Digest)
	add("autonomy", doc.Autonomy)
	add("risk", riskWord(doc.Risk))
	for _, a := range doc.Triggers {
		add("alert", strings.TrimSpace(a.Alert+" "+strings.Join(a.Matchers, " ")))
	}
	add("when", doc.When)
	add("at most", doc.MaxTargets)
	add("on resolve", doc.OnResolve)
	return rows
}

func (t *Terminal) paramTable(all []api.RunbookParam) []string {
	if len(all) == 0 {
		return nil
	}
	rows := make([][]string, len(all))
	for i, p := range all {
		need := "required"
		if !p.Required {
			need = fmt.Sprintf("default %v", p.Default)
		}
		doc := p.Doc
		if len(p.Enum) > 0 {
			doc += " One of: " + strings.Join(p.Enum, ", ") + "."
		}
		rows[i] = []string{p.Name, p.Type, Clean(need), Clean(strings.TrimSpace(doc))}
	}
	return append([]string{"", t.style.strong.Render("parameters") + "  --set NAME=VALUE"}, indent(columns(rows))...)
}

func (t *Terminal) writtenStep(n int, s api.RunbookStep) []string {
	lines := []string{fmt.Sprintf("%d %s  %s  %s", n, t.style.strong.Render(Clean(s.ID)), Clean(s.Do), t.riskText(s.Risk))}
	if s.Doc != "" {
		lines = append(lines, "    "+t.style.dim.Render(Clean(s.Doc)))
	}
	if s.If != "" {
		lines = append(lines, "    if "+Clean(s.If))
	}
	lines = append(lines, withLines(s.With)...)
	if s.Verify != nil {
		lines = append(lines, "    then verify "+checkText(*s.Verify))
	}
	return lines
}

func withLines(with map[string]any) []string {
	rows := make([][]string, 0, len(with))
	for _, name := range sortedKeys(with) {
		rows = append(rows, []string{"    " + Clean(name), valueText(with[name])})
	}
	return columns(rows)
}

func valueText(v any) string {
	if s, ok := v.(string); ok {
		return Clean(s)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return Clean(fmt.Sprint(v))
	}
	return Clean(string(raw))
}
