package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
)

// Halt is the kill switch in one line.
func Halt(h ledger.Halt, now time.Time) string {
	text := fmt.Sprintf("HALTED by %s", h.By)
	if !h.At.IsZero() {
		text += " " + Ago(h.At, now)
	}
	text += ": " + h.Reason
	if !h.Until.IsZero() {
		text += fmt.Sprintf(" (until %s, for another %s)", h.Until.Local().Format("2006-01-02 15:04:05 MST"), span(h.Until.Sub(now)))
	}
	return Clean(text)
}

// Storm is an open breaker in one line.
func Storm(b ledger.Breaker, now time.Time) string {
	return fmt.Sprintf("STORM %s: alerts started %s within %s; runs of alerts wait until a person says runbook storm reset",
		Ago(b.Since, now), count(b.Runs, "run"), b.Within)
}

// Consent is what a run asks people for, and what they have said; nothing where
// it asks for nothing.
func (t *Terminal) Consent(r run.Run, now time.Time) []string {
	a := r.Approval
	if a == nil {
		return nil
	}
	lines := []string{t.consentState(*a, now)}
	for _, target := range a.Targets {
		lines = append(lines, "  on "+Clean(target))
	}
	if len(a.Later) > 0 {
		lines = append(lines, "  also for what is no riskier after it: "+Clean(strings.Join(a.Later, ", ")))
	}
	for _, d := range a.Decisions {
		lines = append(lines, "  "+t.decision(d))
	}
	return lines
}

func (t *Terminal) consentState(a run.Approval, now time.Time) string {
	what := Clean(strings.Join(a.Steps, ", "))
	switch a.State {
	case run.Approved:
		return t.style.good.Render(t.marks.good+" approved") + ": " + what
	case run.Denied:
		return t.style.bad.Render(t.marks.bad+" denied") + ": " + what
	case run.Expired:
		return t.style.warn.Render(t.marks.unsure+" nobody consented in time") + ": " + what
	}
	return t.style.warn.Render(t.marks.unsure+" consent needed") + fmt.Sprintf(": %s, %s, by %s (in %s)",
		what, consentBy(a), a.Deadline.Local().Format("15:04:05"), span(a.Deadline.Sub(now)))
}

// consentBy says who may consent, and how many must.
func consentBy(a run.Approval) string {
	who := a.Roles()
	if a.Count <= 1 {
		return Clean("by one with the role " + who)
	}
	return Clean(fmt.Sprintf("%d of %d with the role %s", len(a.Decisions), a.Count, who))
}

func (t *Terminal) decision(d run.Decision) string {
	word := t.style.good.Render("approved")
	if !d.Approve {
		word = t.style.bad.Render("denied")
	}
	return fmt.Sprintf("%s by %s at %s: %s", word, Clean(d.By), d.At.Local().Format("15:04:05"), Clean(d.Reason))
}

// guardLines are what holds a run back now, or has: for the tree.
func (t *Terminal) guardLines(r run.Run, now time.Time) []string {
	var lines []string
	if r.Drill != "" {
		lines = append(lines, t.style.warn.Render("drill")+": "+Clean(r.Drill))
	}
	if r.Halted != "" {
		lines = append(lines, t.style.bad.Render("stands still")+": "+Clean(r.Halted))
	}
	if len(r.Override) > 0 {
		lines = append(lines, t.style.warn.Render("override")+": "+Clean(strings.Join(r.Override, ", "))+" set aside")
	}
	if a := r.Admission; a != nil && a.State == ledger.Queued && r.Phase == run.Admitting {
		lines = append(lines, t.style.warn.Render("queued")+": "+admissionText(*a))
	}
	if r.Phase == run.Approving {
		lines = append(lines, t.Consent(r, now)...)
	}
	return lines
}

// admissionText is why a run waits or was refused.
func admissionText(a run.Admission) string {
	text := string(a.Guard)
	if a.Reason != "" {
		text = strings.TrimPrefix(text+": "+a.Reason, ": ")
	}
	if a.Position > 0 {
		text += fmt.Sprintf(" (place %d in the queue)", a.Position)
	}
	if a.Waited != "" {
		text += fmt.Sprintf(" (waited %s)", a.Waited)
	}
	return strings.TrimSpace(Clean(text))
}

// guardFacts are the same for the timeline, with what is past.
func (t *Terminal) guardFacts(r run.Run, now time.Time) (rows [][]string) {
	add := func(name, value string) { rows = append(rows, []string{name, value}) }
	if r.Drill != "" {
		add("drill", t.style.warn.Render(Clean(r.Drill)))
	}
	if r.Halted != "" {
		add("halted", t.style.bad.Render(Clean(r.Halted)))
	}
	if a := r.Admission; a != nil {
		add("admission", strings.TrimRight(string(a.State)+"  "+admissionText(*a), " "))
	}
	if len(r.Override) > 0 {
		add("override", t.style.warn.Render(Clean(strings.Join(r.Override, ", "))))
	}
	if a := r.Autonomy; a != nil {
		text := string(a.Effective)
		if a.Level != a.Effective {
			text += t.style.dim.Render("  the runbook says " + string(a.Level))
		}
		add("autonomy", strings.TrimRight(text+"  "+Clean(strings.Join(a.Why, "; ")), " "))
	}
	for _, remedy := range r.Remedies {
		add("remedy", t.style.strong.Render(Clean(remedy.ID))+"  "+t.verdict(remedy.Outcome, remedy.Reason))
	}
	for i, line := range t.Consent(r, now) {
		name := ""
		if i == 0 {
			name = "consent"
		}
		add(name, line)
	}
	return rows
}
