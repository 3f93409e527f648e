package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
)

// node is a line of the tree with what hangs below it.
type node struct {
	text string
	subs []node
}

// Tree is the state of a run as a tree: what runs now can be found at a glance.
// The beat turns the wheel of what is running.
func (t *Terminal) Tree(r run.Run, now time.Time, beat int) []string {
	top := t.style.strong.Render(Clean(r.Runbook)) + "  "
	if r.Status == run.Ended {
		_, style := t.look(r.Outcome)
		top += style.Render(outcomeWord(r.Outcome))
	} else {
		top += string(r.Phase)
	}
	top += "  " + t.style.dim.Render(lasted(r, now)+"  "+Clean(r.ID))
	root := node{text: top}
	for _, line := range t.guardLines(r, now) {
		root.subs = append(root.subs, node{text: line})
	}
	for _, s := range r.Steps {
		root.subs = append(root.subs, t.stepNode(r, s, now, beat))
	}
	if c := r.Verify; c != nil {
		root.subs = append(root.subs, node{text: t.line(t.checkMark(c), "verify", c.Until, Clean(c.Reason), took(c.StartedAt, c.EndedAt))})
	} else if r.Phase == run.Verifying {
		root.subs = append(root.subs, node{text: t.line(t.wheel(beat), "verify", "is it better?", lastText(r, "verify", ""), "")})
	}
	for _, u := range r.Undone {
		root.subs = append(root.subs, node{text: t.undoLine(u)})
	}
	return t.draw(root)
}

func (t *Terminal) undoLine(u run.Undo) string {
	if u.Error != "" {
		return t.line(t.style.bad.Render(t.marks.bad), "NOT undone", u.Do, Clean(u.Target+": "+u.Error), "")
	}
	return t.line(t.style.good.Render(t.marks.good), "undone", u.Do, Clean(u.Target), "")
}

func (t *Terminal) draw(n node) []string {
	lines := []string{n.text}
	for i, sub := range n.subs {
		branch, trunk := t.marks.branch, t.marks.trunk
		if i == len(n.subs)-1 {
			branch, trunk = t.marks.last, t.marks.gap
		}
		for k, line := range t.draw(sub) {
			lead := trunk
			if k == 0 {
				lead = branch
			}
			lines = append(lines, t.style.dim.Render(lead)+line)
		}
	}
	return lines
}

func (t *Terminal) wheel(beat int) string {
	return t.style.warn.Render(t.marks.running[beat%len(t.marks.running)])
}

func (t *Terminal) checkMark(c *run.Check) string {
	mark, style := t.look(c.Outcome)
	return style.Render(mark)
}

// line is a sign, what it is, what is known, and how long it took.
func (t *Terminal) line(mark, name, do, text, took string) string {
	parts := []string{mark, t.style.strong.Render(Clean(name)), " " + t.style.dim.Render(Clean(do))}
	for _, part := range []string{text, took} {
		if part != "" {
			parts = append(parts, " "+part)
		}
	}
	return strings.Join(parts, " ")
}

func (t *Terminal) stepNode(r run.Run, s run.Step, now time.Time, beat int) node {
	mark, style := t.look(s.Outcome)
	mark = style.Render(mark)
	end := s.EndedAt
	if s.Status == run.Running {
		mark, end = t.wheel(beat), &now
	}
	if s.Outcome == run.Skipped {
		end = nil
	}
	n := node{text: t.line(mark, s.ID, s.Do, t.stepText(s), took(s.StartedAt, end))}
	if len(s.Results) > 1 || s.Risk.Writes() {
		n.subs = t.targetNodes(r, s, now, beat)
	}
	if s.Status == run.Running {
		if text := lastText(r, "verify", s.ID); text != "" {
			n.subs = append(n.subs, node{text: t.wheel(beat) + " " + text})
		}
	}
	return n
}

// stepText is the one thing to know of a step.
func (t *Terminal) stepText(s run.Step) string {
	switch {
	case s.Reason != "":
		return Clean(s.Reason)
	case s.Outcome == run.Done && len(s.Results) == 1 && s.Risk.Writes():
		return "" // its target says it
	case s.Outcome == run.Done && len(s.Results) == 1:
		return brief(s.Results[0].Output)
	case s.Outcome == run.Done:
		return count(len(s.Results), "target")
	case s.Selection != nil && s.Risk.Writes():
		return fmt.Sprintf("%d of %d", len(s.Results), len(s.Selection.Targets))
	}
	return ""
}

const maxShownTargets = 12

// targetNodes are what is done and what is under way; many are cut short.
func (t *Terminal) targetNodes(r run.Run, s run.Step, now time.Time, beat int) []node {
	var nodes []node
	done := map[string]bool{}
	for _, result := range s.Results {
		done[result.Target] = true
		nodes = append(nodes, node{text: t.resultLine(result)})
	}
	if len(nodes) > maxShownTargets {
		more := len(nodes) - maxShownTargets
		nodes = append(nodes[:maxShownTargets:maxShownTargets], node{text: t.style.dim.Render(fmt.Sprintf("and %d more", more))})
	}
	for _, e := range r.Events {
		if e.Kind == "call" && e.Step == s.ID && !done[e.Target] && s.Status == run.Running {
			done[e.Target] = true
			nodes = append(nodes, node{text: t.wheel(beat) + " " + Clean(e.Target) + t.style.dim.Render("  "+span(now.Sub(e.At)))})
		}
	}
	return nodes
}

func (t *Terminal) resultLine(r run.Result) string {
	outcome, text := run.Done, brief(r.Output)
	if r.Error != "" {
		outcome, text = run.Failed, Clean(r.Error)
	}
	mark, style := t.look(outcome)
	parts := []string{style.Render(mark), Clean(r.Target)}
	for _, part := range []string{Clean(r.Doc), text, t.style.dim.Render(span(r.EndedAt.Sub(r.StartedAt)))} {
		if part != "" {
			parts = append(parts, " "+part)
		}
	}
	return strings.Join(parts, " ")
}

// lastText is the newest event of a kind of a step.
func lastText(r run.Run, kind, step string) string {
	for i := len(r.Events) - 1; i >= 0; i-- {
		if e := r.Events[i]; e.Step == step {
			if e.Kind == kind {
				return Clean(e.Text)
			}
			return ""
		}
	}
	return ""
}
