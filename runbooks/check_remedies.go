package runbooks

import (
	"fmt"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/lint"
)

// remedies checks what is done at all: either steps or remedies, and of each
// remedy all but its steps.
func (c *checker) remedies() {
	steps, remedies := written(c.node.Get("steps")), written(c.node.Get("remedies"))
	switch {
	case steps && remedies:
		c.add(c.node.KeyPlace("remedies"), "exclusive-keys", "a runbook has steps or remedies, not both", "move the steps into a remedy")
		// The steps are not looked at before that is settled.
		for name := range c.doc.Params {
			c.used[name] = true
		}
	case !steps && !remedies:
		c.add(c.node.At, "missing-key", `the document needs the key "steps", or "remedies"`, "What is done, in order.")
	}
	if !remedies {
		return
	}
	seen := map[string]diag.Place{}
	first := 0
	for i, r := range c.doc.Remedies {
		at := c.node.Find("remedies", i, "id").At
		if hint, twice := earlier(seen, r.ID, at); twice {
			c.add(at, "duplicate-remedy", fmt.Sprintf("the remedy id %q is used twice", r.ID), hint)
		}
		c.remedy(i, first)
		first += len(r.Steps)
	}
	if c.node.Get("verify") == nil {
		c.add(c.node.KeyPlace("remedies"), "remedies-without-verify", "nothing decides whether the next remedy is tried",
			"add verify: {do: …, until: …} at the top level")
	}
}

func written(n *document.Node) bool { return n != nil && n.Kind != document.Null }

// earlier is where an id was used before. One that is missing was reported by
// the decoder.
func earlier(seen map[string]diag.Place, id string, at diag.Place) (hint string, twice bool) {
	first, twice := seen[id]
	if !twice && id != "" {
		seen[id] = at
	}
	return fmt.Sprintf("it is on line %d already", first.Line), twice
}

// remedy checks one remedy, whose first step has a number among all steps.
func (c *checker) remedy(i, first int) {
	r, node := c.doc.Remedies[i], c.node.Find("remedies", i)
	c.scope(first).Condition(lint.RemedyIf, node.Get("if"))
	verify := c.doc.Verify
	if verify != nil && r.Within > 0 && r.Within <= verify.Hold {
		c.add(node.Get("within").At, "times",
			fmt.Sprintf("within %s of a remedy leaves no time for its verification, which must hold for %s", r.Within, verify.Hold),
			"give it more time")
	}
}
