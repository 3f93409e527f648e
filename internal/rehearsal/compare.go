package rehearsal

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks/unittest"
	"github.com/runbook-engine/runbook/workflows"
)

// wrong notes an expectation that was not met, at the place where it is written.
func (p *play) wrong(key, want, got string) {
	e := p.node.Find("expect")
	p.miss(e.Find(key).At, key, want, got)
}

func (p *play) miss(at diag.Place, what, want, got string) {
	p.problems.Add(at, "expectation", fmt.Sprintf("%s: expected %s, got %s", what, want, got), "")
}

func (p *play) compare() {
	r, e := p.came.Run, p.one.Expect
	if got := decision(r); got != e.Decision {
		p.wrong("decision", e.Decision, because(got, r.OutcomeReason))
	}
	if e.Outcome != "" && e.Outcome != string(r.Outcome) {
		p.wrong("outcome", e.Outcome, because(string(r.Outcome), r.OutcomeReason))
	}
	if !strings.Contains(r.OutcomeReason, e.Reason) {
		p.wrong("reason", quoted(e.Reason), quoted(r.OutcomeReason))
	}
	p.steps()
	p.undone()
	p.told()
	p.times()
}

func because(what, reason string) string {
	if reason == "" {
		return what
	}
	return what + ": " + reason
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

// decision tells a run that came to its steps from one that did not.
func decision(r run.Run) string {
	for _, s := range r.Steps {
		if s.StartedAt != nil {
			return "started"
		}
	}
	return "skipped"
}

// ran reports that a step was carried out, or failed to be; in a dry run, that it
// would have been.
func ran(s run.Step) bool {
	return len(s.Results) > 0 || s.WouldRun || s.Outcome == run.Failed
}

func (p *play) steps() {
	want := p.one.Expect.Steps
	if want == nil {
		return
	}
	var got []run.Step
	for _, s := range p.came.Run.Steps {
		if ran(s) {
			got = append(got, s)
		}
	}
	wantIDs, gotIDs := make([]string, 0, len(*want)), make([]string, 0, len(got))
	for _, w := range *want {
		wantIDs = append(wantIDs, w.ID)
	}
	for _, g := range got {
		gotIDs = append(gotIDs, g.ID)
	}
	if !slices.Equal(wantIDs, gotIDs) {
		p.wrong("steps", list(wantIDs), list(gotIDs)+p.whyNot(wantIDs, gotIDs))
		return
	}
	for i, w := range *want {
		p.step(w, got[i], p.node.Find("expect", "steps", i))
	}
}

func list(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ", ")
}

// whyNot is why the first step that is missing did not run.
func (p *play) whyNot(want, got []string) string {
	for _, s := range p.came.Run.Steps {
		if slices.Contains(want, s.ID) && !slices.Contains(got, s.ID) && s.Reason != "" {
			return fmt.Sprintf("; step %s did not run: %s", s.ID, s.Reason)
		}
	}
	return ""
}

func (p *play) step(want unittest.StepRan, got run.Step, at *document.Node) {
	what := "step " + want.ID
	if want.Outcome != "" && want.Outcome != string(got.Outcome) {
		p.miss(at.Find("outcome").At, what+": outcome", want.Outcome, because(string(got.Outcome), got.Reason))
	}
	if !strings.Contains(got.Reason, want.Reason) {
		p.miss(at.Find("reason").At, what+": reason", quoted(want.Reason), quoted(got.Reason))
	}
	if want.Targets != nil {
		p.targets(*want.Targets, got, at.Find("targets"), what)
	}
	for _, r := range got.Results {
		if tries := p.tries[want.ID+"/"+r.Target]; want.Tries > 0 && tries != want.Tries {
			p.miss(at.Find("tries").At, what+": tries on "+r.Target, fmt.Sprint(want.Tries), fmt.Sprint(tries))
		}
	}
	p.with(want, got, at, what)
}

func (p *play) targets(want []string, got run.Step, at *document.Node, what string) {
	var touched []string
	for _, r := range got.Results {
		touched = append(touched, r.Target)
	}
	if got.WouldRun && got.Selection != nil {
		for _, t := range got.Selection.Targets {
			touched = append(touched, t.ID)
		}
	}
	want = slices.Clone(want)
	slices.Sort(want)
	slices.Sort(touched)
	if !slices.Equal(want, touched) {
		p.miss(at.At, what+": targets", list(want), list(touched))
	}
}

func (p *play) with(want unittest.StepRan, got run.Step, at *document.Node, what string) {
	have, err := document.FromJSON(got.With)
	if want.With == nil || err != nil {
		return
	}
	all, _ := have.(map[string]any)
	for _, e := range at.Find("with").Entries {
		if wanted := want.With[e.Key]; !same(wanted, all[e.Key]) {
			p.miss(e.At, what+": "+e.Key, fmt.Sprint(wanted), fmt.Sprint(all[e.Key]))
		}
	}
}

// same compares plain values: JSON has one kind of number.
func same(a, b any) bool {
	return reflect.DeepEqual(document.FromValue(a).Value(), document.FromValue(b).Value())
}

func (p *play) undone() {
	want := p.one.Expect.Undone
	if want == nil {
		return
	}
	var got []string
	for _, u := range p.came.Run.Undone {
		got = append(got, u.Step)
	}
	if got = slices.Compact(got); !slices.Equal(*want, got) {
		p.wrong("undone", list(*want), list(got))
	}
}

func (p *play) told() {
	want := p.one.Expect.Told
	if want == nil {
		return
	}
	if len(*want) != len(p.came.Told) {
		var kinds []string
		for _, m := range p.came.Told {
			kinds = append(kinds, fmt.Sprintf("%s %q", m.Kind, m.Summary))
		}
		p.wrong("told", fmt.Sprintf("%d messages", len(*want)), list(kinds))
		return
	}
	for i, w := range *want {
		p.message(w, p.came.Told[i], p.node.Find("expect", "told", i))
	}
}

func (p *play) message(want unittest.Told, got workflows.Message, at *document.Node) {
	if want.Kind != got.Kind {
		p.miss(at.Find("kind").At, "kind", want.Kind, got.Kind)
	}
	if want.Severity != "" && want.Severity != got.Severity {
		p.miss(at.Find("severity").At, "severity", want.Severity, got.Severity)
	}
	if !strings.Contains(got.Summary, want.Summary) {
		p.miss(at.Find("summary").At, "summary", quoted(want.Summary), quoted(got.Summary))
	}
}

func (p *play) times() {
	e, length := p.one.Expect, took(p.came.Run).Round(time.Millisecond)
	if e.Within > 0 && length > time.Duration(e.Within) {
		p.wrong("within", "at most "+e.Within.String(), length.String())
	}
	if e.NotUntil > 0 && length < time.Duration(e.NotUntil) {
		p.wrong("not_until", "at least "+e.NotUntil.String(), length.String())
	}
}
