package terminal

import (
	"fmt"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/run"
)

// Plan is what a dry run found: the steps, their conditions, exact targets and
// risks, and how one would know that it helped.
func (t *Terminal) Plan(doc api.RunbookDetail, dry run.Run) []string {
	lines := []string{t.style.strong.Render("plan of "+Clean(doc.Name)) + "  " + Clean(doc.Summary)}
	if len(dry.Params) > 0 {
		lines = append(lines, "  "+params(dry.Params))
	}
	if doc.When != "" {
		lines = append(lines, "  when "+Clean(doc.When))
	}
	for i, s := range dry.Steps {
		var written api.RunbookStep
		if i < len(doc.Steps) {
			written = doc.Steps[i]
		}
		lines = append(lines, "")
		lines = append(lines, t.planStep(i+1, written, s)...)
	}
	lines = append(lines, t.planEnd(doc, dry)...)
	for _, w := range doc.Warnings {
		lines = append(lines, t.style.warn.Render("warning: "+Clean(w)))
	}
	return lines
}

func (t *Terminal) planStep(n int, written api.RunbookStep, s run.Step) []string {
	risk := s.Risk
	if risk == "" {
		risk = written.Risk
	}
	lines := []string{fmt.Sprintf("%d %s  %s  %s", n, t.style.strong.Render(Clean(s.ID)), Clean(s.Do), t.riskText(risk))}
	add := func(text string) { lines = append(lines, "    "+text) }
	if written.Doc != "" {
		add(t.style.dim.Render(Clean(written.Doc)))
	}
	if written.If != "" {
		add("if " + Clean(written.If))
	}
	add(t.planText(s))
	for _, target := range planTargets(s) {
		add("  " + target)
	}
	if c := written.Verify; c != nil {
		add("then verify " + checkText(*c) + nowText(s.Verify))
	}
	return lines
}

func (t *Terminal) riskText(r actions.Risk) string {
	switch {
	case r == actions.Destructive:
		return t.style.bad.Render(riskWord(r))
	case r.AtLeast(actions.Disruptive):
		return t.style.warn.Render(riskWord(r))
	default:
		return t.style.dim.Render(riskWord(r))
	}
}

// planText says what a step would do, or what it saw.
func (t *Terminal) planText(s run.Step) string {
	switch {
	case s.WouldRun && strings.HasPrefix(s.Reason, "would run"):
		return t.style.strong.Render(Clean(s.Reason))
	case s.WouldRun:
		return t.style.warn.Render(Clean(s.Reason))
	case s.Outcome == run.Done:
		return "now: " + brief(s.Output)
	case s.Outcome == run.Failed:
		return t.style.bad.Render("failed: " + Clean(s.Reason))
	case s.Reason != "":
		return t.style.dim.Render("skipped: " + Clean(s.Reason))
	}
	return t.style.dim.Render("not looked at")
}

// planTargets are the exact targets, all of them: they are what is agreed to.
func planTargets(s run.Step) []string {
	if s.Selection == nil || !s.Risk.Writes() {
		return nil
	}
	rows := make([][]string, len(s.Selection.Targets))
	for i, target := range s.Selection.Targets {
		rows[i] = []string{Clean(target.ID), Clean(target.Doc)}
	}
	return columns(rows)
}

func checkText(c api.RunbookCheck) string {
	text := fmt.Sprintf("%s until %s, within %s", c.Do, c.Until, c.Within)
	if c.Hold != "0s" {
		text += ", held for " + c.Hold
	}
	return Clean(text)
}

// nowText is what the check sees before anything is done.
func nowText(c *run.Check) string {
	switch {
	case c == nil:
		return ""
	case len(c.Last) > 0:
		return "; now: " + brief(c.Last)
	case c.Reason != "":
		return "; " + Clean(c.Reason)
	}
	return ""
}

func (t *Terminal) planEnd(doc api.RunbookDetail, dry run.Run) []string {
	var lines []string
	if doc.Verify != nil {
		lines = append(lines, "", t.style.strong.Render("verify")+"  "+checkText(*doc.Verify)+nowText(dry.Verify))
	} else {
		lines = append(lines, "", t.style.warn.Render("nothing verifies the whole; the last step that verifies decides, else the outcome is unknown"))
	}
	if len(doc.Otherwise) > 0 {
		lines = append(lines, "otherwise "+Clean(strings.Join(doc.Otherwise, ", then ")))
	}
	if doc.MaxTargets != "" {
		lines = append(lines, "at most "+Clean(doc.MaxTargets)+" targets a step")
	}
	return lines
}

// Refused says why a run would do nothing at all.
func (t *Terminal) Refused(dry run.Run) string {
	return t.style.warn.Render("not run: " + Clean(dry.OutcomeReason))
}
