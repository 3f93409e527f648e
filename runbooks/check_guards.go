package runbooks

import (
	"fmt"
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/shape"
)

// guards checks that each guard says something, and can hold something back.
func (c *checker) guards() {
	node := c.node.Get("guards")
	if node == nil || node.Kind != document.Map {
		return
	}
	guards := c.doc.Guards
	c.rates(node.Get("rate"), guards.Rate)
	c.rates(node.Get("rate_per_target"), guards.RatePerTarget)
	c.resource(node)
	c.limits(node)
	c.selections(node)
	if p := guards.Approve; p != nil {
		c.distinct(node.Find("approve", "by"), "approve.by", p.By)
	}
}

// rates finds two limits for one window, of which one has no effect.
func (c *checker) rates(node *document.Node, rates []ledger.Rate) {
	for i, r := range rates {
		first := slices.IndexFunc(rates, func(o ledger.Rate) bool { return o.Per == r.Per })
		if r.Per > 0 && first < i {
			c.add(node.Find(i).At, "duplicate-value", fmt.Sprintf("there are two rates for the window %s", r.Per), "keep the smaller one")
		}
	}
}

func (c *checker) resource(node *document.Node) {
	if resource := node.Get("resource"); resource != nil {
		c.scope(0).Values(resource, shape.For[string]())
		return
	}
	if c.doc.Guards.OnConflict != "" {
		c.add(node.KeyPlace("on_conflict"), "no-effect", "on_conflict has no effect without a resource that could be held", "add resource: KIND/NAME")
	}
}

func (c *checker) limits(node *document.Node) {
	g := c.doc.Guards
	if m := g.MaxTargets; m != nil && !hasAny(node.Get("max_targets"), "count", "percent") {
		c.add(node.Find("max_targets").At, "missing-key", "max_targets needs count, percent or both", "")
	}
	if m := g.MinHealthy; m != nil && !hasAny(node.Get("min_healthy"), "count", "percent") {
		c.add(node.Find("min_healthy").At, "missing-key", "min_healthy needs count, percent or both", "")
	}
	if g.Batch != nil {
		c.batch(node.Get("batch"), *g.Batch)
	}
}

// hasAny reports whether a mapping has any of the keys.
func hasAny(node *document.Node, keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return node.Get(key) != nil })
}

func (c *checker) batch(node *document.Node, b Batch) {
	size, percent := hasAny(node, "size"), hasAny(node, "percent")
	switch {
	case size && percent:
		c.add(node.KeyPlace("percent"), "exclusive-keys", "a batch has a size or a percent, not both", "remove one")
	case !size && !percent:
		c.add(node.At, "missing-key", "batch needs size or percent", "")
	case b.Percent == 100:
		c.add(node.Get("percent").At, "no-effect", "a batch of 100 percent is everything at once", "remove the batch, or write a smaller percent")
	}
}

// selections finds guards over the targets of a step where no step chooses
// among targets.
func (c *checker) selections(node *document.Node) {
	if c.has(func(a actions.Action) bool { return a.Selects }) {
		return
	}
	for _, key := range []string{"max_errors", "batch"} {
		if hasAny(node, key) {
			c.add(node.KeyPlace(key), "no-effect", fmt.Sprintf("%s has no effect: every step of this runbook has one target", key), "remove it")
		}
	}
}

func (c *checker) distinct(node *document.Node, what string, values []string) {
	for i, value := range values {
		if slices.Index(values, value) < i {
			c.add(node.Find(i).At, "duplicate-value", fmt.Sprintf("%s has %s twice", what, value), "")
		}
	}
}
