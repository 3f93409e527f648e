package runbooks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// checker walks one document. The decoded struct says what is written, the node
// where.
type checker struct {
	Options
	doc      *Document
	node     *document.Node
	problems diag.List
}

func check(n *document.Node, o Options) (*Runbook, diag.List) {
	rb := &Runbook{At: n.At}
	c := &checker{Options: o, doc: &rb.Document, node: n}
	c.problems = document.Decode(n, &rb.Document)
	if n.Kind != document.Map {
		return rb, c.problems
	}
	rb.triggers = c.triggers()
	c.params()
	c.condition("when", c.node.Get("when"), 0)
	c.guards()
	c.steps()
	c.runCheck()
	c.whole()
	return rb, c.problems
}

func (c *checker) add(at diag.Place, code, text, hint string) { c.problems.Add(at, code, text, hint) }

func (c *checker) triggers() []trigger {
	var out []trigger
	for i, t := range c.doc.Triggers {
		node := c.node.Find("triggers", i)
		if t.Alert == "" && len(t.Matchers) == 0 {
			c.add(node.At, "empty-trigger", "a trigger needs an alert or matchers; this one would match every alert", "")
			continue
		}
		compiled := trigger{alert: t.Alert}
		for j, text := range t.Matchers {
			m, err := parse.Matcher(text)
			if err != nil {
				c.add(node.Find("matchers", j).At, "matcher", fmt.Sprintf("matcher %q: %v", text, err), `Alertmanager's syntax: severity=~"critical|page"`)
				continue
			}
			compiled.matchers = append(compiled.matchers, m)
		}
		out = append(out, compiled)
	}
	return out
}

func (c *checker) steps() {
	seen := map[string]bool{}
	for i, s := range c.doc.Steps {
		node := c.node.Find("steps", i)
		if seen[s.ID] && s.ID != "" {
			c.add(node.Find("id").At, "duplicate-step", fmt.Sprintf("step id %q is used twice", s.ID), "")
		}
		seen[s.ID] = true
		c.condition("if", node.Get("if"), i)
		c.action(node, i, s.Do)
		if s.Verify != nil {
			c.check(node.Get("verify"), i+1, s.Verify)
		}
	}
}

// action checks the use of an action at a node that has `do` and `with`.
func (c *checker) action(node *document.Node, upto int, do string) (actions.Action, bool) {
	if do == "" {
		return actions.Action{}, false
	}
	a, known := c.Catalog.Get(do)
	if !known {
		c.add(node.Find("do").At, "unknown-action", fmt.Sprintf("there is no action %q", do), document.Suggest(do, c.Catalog.Names()))
		return a, false
	}
	with := node.Get("with")
	if with == nil {
		with = &document.Node{Kind: document.Map, At: node.Find("do").At}
	}
	c.with(a, with, upto)
	return a, true
}

func (c *checker) runCheck() {
	if c.doc.Verify != nil {
		c.check(c.node.Get("verify"), len(c.doc.Steps), c.doc.Verify)
	}
}

func (c *checker) check(node *document.Node, upto int, check *Check) {
	a, known := c.action(node, upto, check.Do)
	if !known {
		return
	}
	if a.Risk.Writes() || a.Selects {
		c.add(node.Find("do").At, "not-a-probe", fmt.Sprintf("verify needs an action that only reads; %s is %s", a.Name, a.Risk), "")
		return
	}
	if until := node.Get("until"); until != nil && until.Kind == document.String {
		c.compile(until, until.Text, 0, untilEnv(a), true)
	}
	every, within := time.Duration(check.Every), time.Duration(check.Within)
	if every > within && within > 0 {
		c.add(node.Find("every").At, "times", fmt.Sprintf("every %s is longer than within %s: it would look once", check.Every, check.Within), "")
	}
}

// whole checks what no single key shows.
func (c *checker) whole() {
	writes, reversible, destructive := false, false, diag.Place{}
	for i, s := range c.doc.Steps {
		if a, known := c.Catalog.Get(s.Do); known {
			writes = writes || a.Risk.Writes()
			reversible = reversible || a.Undoes()
			if a.Risk == actions.Destructive && destructive.Line == 0 {
				destructive = c.node.Find("steps", i, "do").At
			}
		}
	}
	if c.doc.Autonomy.Level == Auto && writes && c.doc.Verify == nil {
		c.add(c.node.Find("autonomy").At, "auto-without-verify", "a runbook that acts by itself must verify that the system is better",
			"add verify: {do: …, until: …} at the top level, or use autonomy: propose")
	}
	if destructive.Line > 0 && c.doc.Guards.Approve == nil {
		c.add(destructive, "destructive-without-approval", "a destructive step needs approval", "add guards: {approve: {at: destructive}}")
	}
	if c.doc.Has("escalate") && c.doc.Escalate == nil {
		c.add(c.node.Find("otherwise").At, "no-escalation", "otherwise says escalate, and there is no escalate block", "add escalate: {severity: page, summary: …}")
	}
	if c.doc.Escalate != nil && !c.doc.Has("escalate") {
		c.add(c.node.KeyPlace("escalate"), "unreachable", "nothing leads to escalate", "add otherwise: [escalate]")
	}
	if c.doc.Has("undo") && !reversible {
		c.add(c.node.Find("otherwise").At, "nothing-to-undo", "otherwise says undo, and no step is reversible", "")
	}
	if c.doc.Escalate != nil {
		c.text(c.node.Find("escalate").Get("summary"))
	}
}

func (c *checker) guards() {
	node := c.node.Find("guards")
	if c.node.Get("guards") == nil {
		return
	}
	for i, rate := range c.doc.Guards.Rate {
		if !rateForm.MatchString(rate) {
			c.add(node.Find("rate", i).At, "rate", fmt.Sprintf("rate %q is not a number of runs in a window", rate), "such as 3/h, 7/d or 2/30m")
		}
	}
	if m := c.doc.Guards.MaxTargets; m != nil && m.Count == 0 && m.Percent == 0 {
		c.add(node.Find("max_targets").At, "missing-key", "max_targets needs count, percent or both", "")
	}
	if resource := node.Get("resource"); resource != nil {
		c.templates(resource, 0, nil)
	}
}

func (c *checker) windowNames(n *document.Node, source string, offset int) {
	if c.Windows == nil {
		return
	}
	for _, used := range windowsIn(source) {
		if !slices.Contains(c.Windows, used.name) {
			c.add(n.PlaceOf(offset+used.offset), "unknown-window", fmt.Sprintf("no window %q is configured", used.name),
				"configured: "+strings.Join(c.Windows, ", "))
		}
	}
}
