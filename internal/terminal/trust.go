package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// TrustText is what a runbook may do by itself, and why, in one line.
func TrustText(t api.Trust) string {
	parts := []string{string(t.Effective)}
	if t.Effective != t.Level {
		parts = []string{fmt.Sprintf("demoted to %s: %s", t.Effective, strings.Join(t.Why, "; "))}
	}
	if p := t.Proof; p != nil && p.Holds {
		parts = append(parts, p.Reason)
		if p.Recovery > 0 {
			parts = append(parts, "recovery p95 "+seconds(time.Duration(p.Recovery)))
		}
	}
	return strings.Join(parts, ", ")
}

// seconds is a length of time as it is measured: 41 s.
func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
	return span(d)
}

// WindowRow is a window in a table.
func WindowRow(w api.Window, now time.Time) []string {
	state, changes := "closed", "not within a week"
	if w.Open {
		state = "open"
	}
	switch {
	case !w.Opens.IsZero():
		changes = "opens " + moment(w.Opens, now)
	case !w.Closes.IsZero():
		changes = "closes " + moment(w.Closes, now)
	}
	event := w.Event
	if w.Unknown != "" {
		state, event = "unknown, so open", w.Unknown
	}
	return []string{w.Name, state, string(w.Autonomy), changes, event}
}

func moment(at, now time.Time) string {
	return fmt.Sprintf("%s (in %s)", at.Local().Format("Mon 2006-01-02 15:04 MST"), span(at.Sub(now)))
}

// Guards is what guards would say to a run now.
func (t *Terminal) Guards(all []api.GuardSays) []string {
	rows := make([][]string, len(all))
	for i, g := range all {
		rows[i] = []string{t.guardState(g.State), Clean(g.Name), setText(g), Clean(g.Reason)}
	}
	return append([]string{"", t.style.strong.Render("guards")}, indent(columns(rows))...)
}

// setText says also whose a guard is, where it is the engine's and could be the
// runbook's.
func setText(g api.GuardSays) string {
	if g.Of != "engine" {
		return Clean(g.Set)
	}
	return Clean(g.Set + " (the engine's)")
}

func (t *Terminal) guardState(s ledger.State) string {
	switch s {
	case ledger.Admitted:
		return t.style.good.Render(t.marks.good + " admitted")
	case ledger.Queued:
		return t.style.warn.Render(t.marks.unsure + " queued")
	case ledger.Refused:
		return t.style.bad.Render(t.marks.bad + " refused")
	}
	return t.style.dim.Render(t.marks.pending + " told by the run")
}
