package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
)

// EventLine is an event in one line, for pipes and timelines.
func EventLine(e run.Event) string { return clock(e.At) + "  " + Clean(e.Text) }

// Timeline is everything that is known of a run, the end first.
func (t *Terminal) Timeline(r run.Run, now time.Time) []string {
	lines := []string{t.headline(r, now), ""}
	lines = append(lines, columns(t.facts(r, now))...)
	for _, s := range r.Steps {
		lines = append(lines, "")
		lines = append(lines, t.stepDetail(s)...)
	}
	if r.Verify != nil {
		lines = append(lines, "", t.style.strong.Render("verify")+"  "+t.verdict(r.Verify.Outcome, r.Verify.Reason))
		lines = append(lines, indent(t.checkDetail(*r.Verify))...)
	}
	lines = append(lines, t.aftermath(r)...)
	if len(r.Events) == 0 {
		return lines
	}
	lines = append(lines, "", t.style.strong.Render("timeline")+t.style.dim.Render("  "+r.StartedAt.Local().Format("2006-01-02 MST")))
	for _, e := range inOrder(r.Events) {
		lines = append(lines, EventLine(e))
	}
	return lines
}

// inOrder: some things a run hears of only after later ones.
func inOrder(events []run.Event) []run.Event {
	return slices.SortedStableFunc(slices.Values(events), func(a, b run.Event) int { return a.At.Compare(b.At) })
}

func (t *Terminal) headline(r run.Run, now time.Time) string {
	if r.Status == run.Ended {
		return t.verdict(r.Outcome, r.OutcomeReason)
	}
	doing := string(r.Phase)
	if r.Phase == "" {
		doing = "nobody works on it now; what it did so far is shown once it goes on"
	}
	return t.style.warn.Render(fmt.Sprintf("%s under way for %s: %s", t.marks.running[0], lasted(r, now), doing))
}

func (t *Terminal) facts(r run.Run, now time.Time) [][]string {
	rows := [][]string{
		{"run", Clean(r.ID)},
		{"runbook", Clean(r.Runbook) + t.style.dim.Render("  digest "+Clean(r.Digest))},
		{"mode", string(r.Mode)},
		{"started", fmt.Sprintf("%s (%s) by %s", r.StartedAt.Local().Format("2006-01-02 15:04:05 MST"), Ago(r.StartedAt, now), Clean(r.Actor))},
		{"took", lasted(r, now)},
	}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	if r.FirstActionAt != nil {
		add("first action", "after "+span(r.FirstActionAt.Sub(r.StartedAt)))
	}
	add("reason", Clean(r.Reason))
	add("params", params(r.Params))
	if a := r.Alert; a != nil {
		add("alert", Clean(fmt.Sprintf("%s, firing since %s", a.Name(), a.StartsAt.Local().Format("2006-01-02 15:04:05"))))
		add("labels", params(asValues(a.Labels)))
	}
	return append(rows, t.guardFacts(r, now)...)
}

func asValues(pairs map[string]string) map[string]any {
	values := make(map[string]any, len(pairs))
	for name, value := range pairs {
		values[name] = value
	}
	return values
}

func indent(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = "  " + line
	}
	return out
}

func (t *Terminal) stepDetail(s run.Step) []string {
	head := t.style.strong.Render(Clean(s.ID)) + "  " + Clean(s.Do)
	if s.Risk != "" {
		head += "  " + t.riskText(s.Risk)
	}
	head += "  " + t.stepVerdict(s)
	if d := took(s.StartedAt, s.EndedAt); d != "" && s.Status == run.Ended {
		head += t.style.dim.Render("  " + d)
	}
	rows := [][]string{}
	if len(s.With) > 0 {
		rows = append(rows, []string{"with", compact(s.With)})
	}
	if s.Selection != nil && s.Risk.Writes() {
		rows = append(rows, []string{"selected", fmt.Sprintf("%d of %d", len(s.Selection.Targets), s.Selection.Population)})
	}
	if len(s.Results) == 1 && !s.Risk.Writes() && len(s.Output) > 0 {
		rows = append(rows, []string{"output", compact(s.Output)})
	}
	lines := append([]string{head}, indent(columns(rows))...)
	if s.Risk.Writes() || len(s.Results) > 1 {
		for _, result := range s.Results {
			lines = append(lines, "  "+t.resultDetail(result))
		}
		lines = append(lines, t.untouched(s)...)
	}
	if s.Verify != nil {
		lines = append(lines, "  verify  "+t.verdict(s.Verify.Outcome, s.Verify.Reason))
		lines = append(lines, indent(t.checkDetail(*s.Verify))...)
	}
	return lines
}

func (t *Terminal) stepVerdict(s run.Step) string {
	if s.Status == run.Ended {
		return t.verdict(s.Outcome, s.Reason)
	}
	return t.style.dim.Render(string(s.Status))
}

// untouched are the selected targets that nothing was done to.
func (t *Terminal) untouched(s run.Step) []string {
	if s.Selection == nil {
		return nil
	}
	done := map[string]bool{}
	for _, r := range s.Results {
		done[r.Target] = true
	}
	var lines []string
	for _, target := range s.Selection.Targets {
		if !done[target.ID] {
			lines = append(lines, "  "+t.style.dim.Render(t.marks.pending+" "+Clean(target.ID)+"  "+Clean(target.Doc)))
		}
	}
	return lines
}

func (t *Terminal) resultDetail(r run.Result) string {
	line := t.resultLine(r)
	if r.Attempt > 1 {
		line += t.style.warn.Render(fmt.Sprintf("  attempt %d", r.Attempt))
	}
	return line
}

func (t *Terminal) checkDetail(c run.Check) []string {
	rows := [][]string{{"until", Clean(c.Do + ": " + c.Until)}}
	if len(c.With) > 0 {
		rows = append(rows, []string{"with", compact(c.With)})
	}
	if len(c.First) > 0 {
		rows = append(rows, []string{"first", compact(c.First)})
	}
	if len(c.Last) > 0 && c.Looks > 1 {
		rows = append(rows, []string{"last", compact(c.Last)})
	}
	if c.Looks > 0 {
		rows = append(rows, []string{"looked", count(c.Looks, "time") + " in " + took(c.StartedAt, c.EndedAt)})
	}
	return indent(columns(rows))
}

// aftermath is what was taken back and who was told.
func (t *Terminal) aftermath(r run.Run) []string {
	var lines []string
	for _, u := range r.Undone {
		text := "undone  " + Clean(u.Step+"  "+u.Do+" on "+u.Target)
		if u.Error != "" {
			text = t.style.bad.Render("NOT "+text) + ": " + Clean(u.Error)
		}
		lines = append(lines, text)
	}
	if r.Escalation != nil {
		lines = append(lines, t.escalation(*r.Escalation))
	}
	if len(lines) > 0 {
		lines = append([]string{""}, lines...)
	}
	return lines
}

// compact is JSON in one line, whole: this is the place where nothing is cut.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return Clean(string(raw))
	}
	return Clean(unescaped.Replace(b.String()))
}

// unescaped shows what encoding/json writes for the sake of web pages. A
// backslash that stands for itself is passed over as a pair.
var unescaped = strings.NewReplacer(`\\`, `\\`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&")
