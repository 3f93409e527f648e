package gameday

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/expression"
	"github.com/runbook-engine/runbook/runbooks/lint"
)

// bound is an action or a fault with its parameters.
type bound interface {
	JSON() (json.RawMessage, error)
}

// used checks the parameters of an action or a fault at a node that has `with`,
// by the same decoder that will read them in the end.
func (c *checker) used(node *document.Node, key, name string, params *shape.Type, bind func(*document.Node) (bound, diag.List)) json.RawMessage {
	with := node.Get("with")
	if with == nil || with.Kind == document.Null {
		with = &document.Node{Kind: document.Map, At: node.Find(key).At}
	}
	if with.Kind != document.Map {
		return nil // the decoder said so
	}
	with.Title = name
	before := len(c.problems)
	c.noHoles(with)
	b, problems := bind(with)
	c.problems = append(c.problems, problems...)
	if c.Connections != nil {
		c.problems = append(c.problems, lint.Connections(c.Connections.Check, params, with, nil)...)
	}
	if len(c.problems) > before {
		return nil
	}
	raw, err := b.JSON()
	if err != nil {
		c.add(with.At, "wrong-type", fmt.Sprintf("parameters of %s: %v", name, err), "")
	}
	return raw
}

// noHoles refuses ${…}: nothing would fill it in.
func (c *checker) noHoles(n *document.Node) {
	if i := strings.Index(n.Text, "${"); i >= 0 && n.Kind == document.String {
		c.add(n.PlaceOf(i), "template", "a game day has no parameters that ${…} could name", "write the value")
	}
	for _, item := range n.Items {
		c.noHoles(item)
	}
	for _, e := range n.Entries {
		c.noHoles(e.Value)
	}
}

func (c *checker) steady() {
	seen := map[string]diag.Place{}
	for i, p := range c.doc.Steady {
		node := c.node.Find("steady", i)
		c.earlier(seen, "probe", p.ID, node.Find("id").At)
		c.probe(p, node)
	}
}

func (c *checker) probe(p Probe, node *document.Node) {
	if p.AbortAfter < p.Every {
		c.add(node.Find("abort_after").At, "times", fmt.Sprintf("abort_after %s is shorter than every %s: one look that is not good would stop the drill", p.AbortAfter, p.Every),
			"look more often, or give it more time")
	}
	a, known := c.Actions.Get(p.Do)
	switch {
	case !known && p.Do == "":
		return
	case !known:
		c.add(node.Find("do").At, "unknown-action", fmt.Sprintf("there is no action %q", p.Do), suggest(p.Do, c.Actions.Names(), "runbook actions lists them"))
		return
	case a.Risk.Writes() || a.Selects:
		c.add(node.Find("do").At, "not-a-probe", fmt.Sprintf("a probe only reads; %s is %s", a.Name, a.Risk), "such as http.get")
		return
	}
	fields, _ := runbooks.OutputType(a).(expression.Env)
	scope := &lint.Scope{Env: fields, Only: "expect asks about the output of " + a.Name + " alone", Used: map[string]bool{}, Problems: &c.problems}
	scope.Condition("expect", node.Get("expect"))
	var b actions.Bound
	raw := c.used(node, "do", a.Name, a.Params, func(n *document.Node) (bound, diag.List) {
		var problems diag.List
		b, problems = a.BindNode(n)
		return b, problems
	})
	if raw != nil {
		c.plan.Steady = append(c.plan.Steady, PlanProbe{
			ID: p.ID, Do: p.Do, With: raw, Expect: p.Expect, NoAnswer: State(p.NoAnswer),
			Every: p.Every, AbortAfter: p.AbortAfter, Limit: model.Duration(b.Limit()),
		})
	}
}

func suggest(name string, known []string, otherwise string) string {
	if hint := document.Suggest(name, known); hint != "" {
		return hint
	}
	return otherwise
}
