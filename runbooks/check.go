package runbooks

import (
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/lint"
	"github.com/runbook-engine/runbook/runbooks/matching"
	"github.com/runbook-engine/runbook/runbooks/parameter"
)

// checker walks one document. The decoded struct says what is written, the node
// where.
type checker struct {
	Options
	doc      *Document
	node     *document.Node
	problems diag.List
	used     map[string]bool // parameters
	scopes   map[int]*lint.Scope
}

func check(n *document.Node, o Options) (*Runbook, diag.List) {
	rb := &Runbook{At: n.At, nameAt: n.Find("runbook").At}
	c := &checker{Options: o, doc: &rb.Document, node: n, used: map[string]bool{}, scopes: map[int]*lint.Scope{}}
	c.problems = document.Decode(n, &rb.Document)
	if n.Kind != document.Map {
		return rb, c.problems
	}
	rb.conditions = c.triggers()
	c.problems = append(c.problems, parameter.Check(c.doc.Params, c.node.Find("params"))...)
	c.scope(0).Condition("when", c.node.Get("when"))
	c.guards()
	c.remedies()
	c.steps()
	if c.doc.Verify != nil {
		c.check(c.node.Get("verify"), len(c.doc.AllSteps()), c.doc.Verify)
	}
	c.overTime()
	c.whole()
	c.params(rb.conditions)
	rb.digest = rb.Document.Digest()
	return rb, c.problems
}

func (c *checker) add(at diag.Place, code, text, hint string) { c.problems.Add(at, code, text, hint) }

func (c *checker) triggers() []matching.Condition {
	conditions, problems := matching.Compile(c.doc.Triggers, c.node.Find("triggers"))
	c.problems = append(c.problems, problems...)
	return conditions
}

// scope is what expressions may name before the step with a number.
func (c *checker) scope(step int) *lint.Scope {
	if known := c.scopes[step]; known != nil {
		return known
	}
	s := &lint.Scope{
		Env: env(c.Catalog, c.doc, step), Outcomes: map[string][]string{}, AnyOutcome: stepOutcomes,
		Params: sortedKeys(c.doc.Params), Windows: c.Windows, Used: c.used, Problems: &c.problems,
	}
	for i, one := range c.doc.AllSteps() {
		if i < step {
			s.Outcomes[one.ID] = one.outcomes()
		} else {
			s.Later = append(s.Later, one.ID)
		}
	}
	c.scopes[step] = s
	return s
}

func (c *checker) steps() {
	seen := map[string]diag.Place{}
	for i, s := range c.doc.AllSteps() {
		node := c.stepNode(i)
		at := node.Find("id").At
		if hint, twice := earlier(seen, s.ID, at); twice {
			c.add(at, "duplicate-step", fmt.Sprintf("the step id %q is used twice", s.ID), hint)
		}
		c.step(i, s, node)
	}
}

// stepNode is where a step is written.
func (c *checker) stepNode(i int) *document.Node {
	for n, r := range c.doc.Remedies {
		if i < len(r.Steps) {
			return c.node.Find("remedies", n, "steps", i)
		}
		i -= len(r.Steps)
	}
	return c.node.Find("steps", i)
}

func (c *checker) step(i int, s Step, node *document.Node) {
	scope := c.scope(i)
	scope.Condition("if", node.Get("if"))
	a, known := c.action(node, scope, s.Do)
	if known && s.AllowEmpty && !a.Selects {
		c.add(node.KeyPlace("allow_empty"), "no-effect", fmt.Sprintf("allow_empty has no effect: %s always has one target", a.Name), "remove it")
	}
	if known && s.Rollout != nil {
		c.rollout(i, s, a, node.Get("rollout"))
	}
	if s.Verify != nil {
		c.check(node.Get("verify"), i+1, s.Verify)
	}
}

// action checks the use of an action at a node that has `do` and `with`.
func (c *checker) action(node *document.Node, scope *lint.Scope, do string) (actions.Action, bool) {
	with := node.Get("with")
	a, known := c.Catalog.Get(do)
	if !known {
		if do != "" {
			c.add(node.Find("do").At, "unknown-action", fmt.Sprintf("there is no action %q", do), suggestAction(do, c.Catalog))
		}
		if with != nil {
			scope.Values(with, nil)
		}
		return a, false
	}
	if with == nil || with.Kind == document.Null {
		with = &document.Node{Kind: document.Map, At: node.Find("do").At}
	}
	if with.Kind == document.Map { // else the decoder said so
		c.with(a, with, scope)
	}
	return a, true
}

func suggestAction(do string, catalog *actions.Catalog) string {
	if hint := document.Suggest(do, catalog.Names()); hint != "" {
		return hint
	}
	return "runbook actions lists them"
}

// check checks the use of a probe.
func (c *checker) check(node *document.Node, step int, check *Check) {
	a, known := c.probe(node, c.scope(step), check.Do, "verify")
	if !known {
		return
	}
	for _, key := range []string{"until", "worse"} {
		output := &lint.Scope{
			Env: untilEnv(a), Only: key + " asks about the output of " + a.Name + " alone",
			Used: c.used, Problems: &c.problems,
		}
		output.Condition(key, node.Get(key))
	}
	every, within := time.Duration(check.Every), time.Duration(check.Within)
	if every > within && within > 0 {
		c.add(node.Find("every").At, "times", fmt.Sprintf("every %s is longer than within %s: it would look once", check.Every, check.Within), "look more often, or give it more time")
	}
}

// probe checks the use of an action that must only read, for what names it.
func (c *checker) probe(node *document.Node, scope *lint.Scope, do, what string) (actions.Action, bool) {
	a, known := c.action(node, scope, do)
	if known && (a.Risk.Writes() || a.Selects) {
		c.add(node.Find("do").At, "not-a-probe", fmt.Sprintf("%s needs an action that only reads; %s is %s", what, a.Name, a.Risk), "such as prometheus.query")
		return a, false
	}
	return a, known
}
