package runbooks

import (
	"fmt"
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

// whole checks what no single key shows.
func (c *checker) whole() {
	c.autonomy()
	c.otherwise()
	c.escalation()
	for i, s := range c.doc.AllSteps() {
		a, _ := c.Catalog.Get(s.Do)
		if a.Risk == actions.Destructive && c.doc.Guards.Approve == nil {
			c.add(c.stepNode(i).Find("do").At, "destructive-without-approval", fmt.Sprintf("%s is destructive and needs consent", a.Name),
				"add guards: {approve: {at: destructive}}")
		}
	}
}

// has reports whether any step's action is of a kind.
func (c *checker) has(kind func(actions.Action) bool) bool {
	return slices.ContainsFunc(c.doc.AllSteps(), func(s Step) bool {
		a, known := c.Catalog.Get(s.Do)
		return !known || kind(a) // what an unknown action does is not known either
	})
}

func (c *checker) autonomy() {
	autonomy := c.doc.Autonomy
	writes := c.has(func(a actions.Action) bool { return a.Risk.Writes() })
	if autonomy.Level == Auto && writes && c.node.Get("verify") == nil {
		c.add(c.node.Find("autonomy").At, "auto-without-verify", "a runbook that acts by itself must verify that the system is better",
			"add verify: {do: …, until: …} at the top level, or write autonomy: propose")
	}
	if autonomy.Proof != nil && autonomy.Level != Auto && autonomy.Level != "" {
		c.add(c.node.Find("autonomy").KeyPlace("proof"), "no-effect", fmt.Sprintf("a proof has no effect at autonomy %s: only auto needs one", autonomy.Level),
			"write level: auto, or remove the proof")
	}
}

// overTime finds conditions over time on alerts that start nothing.
func (c *checker) overTime() {
	if c.doc.Autonomy.Level != Off {
		return
	}
	for _, key := range []string{"for", "healthy_delay", "hold_page"} {
		if c.node.Get(key) != nil {
			c.add(c.node.KeyPlace(key), "no-effect", key+" has no effect at autonomy off: no alert starts this runbook", "remove it")
		}
	}
}

func (c *checker) otherwise() {
	node := c.node.Find("otherwise")
	c.distinct(node, "otherwise", c.doc.Otherwise)
	if c.has(actions.Action.Undoes) {
		return
	}
	if i := slices.Index(c.doc.Otherwise, "undo"); i >= 0 {
		c.add(node.Find(i).At, "nothing-to-undo", "otherwise says undo, and no step is reversible", "leave it out")
	}
	if c.doc.OnResolve == "undo" {
		c.add(c.node.Find("on_resolve").At, "nothing-to-undo", "on_resolve says undo, and no step is reversible", "write cancel or finish")
	}
}

func (c *checker) escalation() {
	block := c.node.Get("escalate")
	i := slices.Index(c.doc.Otherwise, "escalate")
	byApproval := c.doc.Guards.Approve != nil && c.doc.Guards.Approve.Otherwise == "escalate"
	const hint = `add escalate: {severity: page, summary: "…"}`
	switch {
	case block == nil && i >= 0:
		c.add(c.node.Find("otherwise", i).At, "no-escalation", "otherwise says escalate, and there is no escalate block", hint)
	case block == nil && byApproval:
		c.add(c.node.Find("guards", "approve").At, "no-escalation", "when nobody consents it escalates, and there is no escalate block", hint)
	case block != nil && i < 0 && !byApproval:
		c.add(c.node.KeyPlace("escalate"), "unreachable", "nothing leads to escalate", "add otherwise: [escalate]")
	}
	if block != nil {
		c.scope(len(c.doc.AllSteps())).Text(block.Get("summary"))
	}
}

// params checks what parameters are for, when everything that could use them is
// known.
func (c *checker) params(conditions []matching.Condition) {
	node := c.node.Find("params")
	for _, name := range sortedKeys(c.doc.Params) {
		p := c.doc.Params[name]
		// One that is taken from the alert is checked and shown even where nothing
		// uses it. One that is set by hand must not be set in vain.
		if !c.used[name] && p.From == "" {
			c.add(node.KeyPlace(name), "unused-param", fmt.Sprintf("parameter %s is not used: to set it would change nothing", name),
				"write ${params."+name+"} where it belongs, or remove it")
		}
		if len(c.doc.Triggers) > 0 && p.Required() && p.From == "" {
			c.add(node.KeyPlace(name), "param-without-source", fmt.Sprintf("an alert can not start this runbook: nothing gives parameter %s a value", name),
				"add from: alert.labels.NAME, or a default")
		}
		for _, condition := range conditions {
			c.refusedLabel(name, condition, node.Find(name, "from").At)
		}
	}
}

// refusedLabel finds a trigger that demands of a label what the parameter that
// is taken from it does not accept.
func (c *checker) refusedLabel(name string, condition matching.Condition, at diag.Place) {
	p := c.doc.Params[name]
	for label, values := range condition.Demands() {
		if p.From != "alert.labels."+label {
			continue
		}
		for _, value := range values {
			if _, err := p.Accept(value); err != nil {
				c.add(at, "refused-label", fmt.Sprintf("a trigger demands %s=%q, which parameter %s does not accept: %v", label, value, name, err), "")
			}
		}
	}
}
