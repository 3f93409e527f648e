package terminal

import (
	"fmt"
	"time"

	"github.com/charmbracelet/lipgloss"

	"github.com/runbook-engine/runbook/internal/run"
)

// look is how an outcome is marked.
func (t *Terminal) look(o run.Outcome) (mark string, style lipgloss.Style) {
	switch o {
	case run.Fixed, run.Done:
		return t.marks.good, t.style.good
	case run.NotFixed, run.Worse, run.Failed:
		return t.marks.bad, t.style.bad
	case run.Unknown, run.Cancelled:
		return t.marks.unsure, t.style.warn
	case run.Skipped:
		return t.marks.skipped, t.style.dim
	default:
		return t.marks.pending, t.style.dim
	}
}

// verdict is an outcome with its reason, the most important line there is.
func (t *Terminal) verdict(o run.Outcome, reason string) string {
	mark, style := t.look(o)
	text := style.Render(mark + " " + outcomeWord(o))
	if reason != "" {
		text += ": " + Clean(reason)
	}
	return text
}

// Result is how a run ended, and what to do next.
func (t *Terminal) Result(r run.Run, show string) []string {
	lines := []string{t.verdict(r.Outcome, r.OutcomeReason)}
	if e := r.Escalation; e != nil {
		lines = append(lines, t.escalation(*e))
	}
	for _, u := range r.Undone {
		if u.Error != "" {
			lines = append(lines, t.style.bad.Render(Clean(fmt.Sprintf("%s of %s on %s was NOT undone: %s", u.Do, u.Step, u.Target, u.Error))))
		}
	}
	return append(lines, t.style.dim.Render(Clean(fmt.Sprintf("%s in %s; details: %s", touched(r), lasted(r, time.Now()), show))))
}

func (t *Terminal) escalation(e run.Escalation) string {
	if e.Sent {
		return Clean(fmt.Sprintf("%s sent (severity %s): %s", e.Kind, e.Severity, e.Summary))
	}
	return t.style.bad.Render(Clean(fmt.Sprintf("%s NOT sent, nobody was told: %s", e.Kind, e.Error)))
}

// touched counts what was changed.
func touched(r run.Run) string {
	n := 0
	for _, s := range r.Steps {
		if s.Risk.Writes() {
			n += len(s.Results)
		}
	}
	if n == 0 {
		return "nothing touched"
	}
	return count(n, "target") + " touched"
}

func lasted(r run.Run, now time.Time) string {
	if r.EndedAt != nil {
		now = *r.EndedAt
	}
	return span(now.Sub(r.StartedAt))
}
