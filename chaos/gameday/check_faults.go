package gameday

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

func (c *checker) faults() {
	seen := map[string]diag.Place{}
	for i, f := range c.doc.Faults {
		node := c.node.Find("faults", i)
		c.earlier(seen, "fault", f.ID, node.Find("id").At)
		c.fault(f, node)
	}
	for i, text := range c.doc.Limits.Protected {
		if _, err := parse.Matcher(text); err != nil {
			c.add(c.node.Find("limits", "protected", i).At, "matcher", fmt.Sprintf("matcher %q: %v", document.Shorten(text, 60), err), "")
		}
	}
	c.plan.Watch = c.watch()
	c.looks()
}

const (
	leastEvery = 100 * time.Millisecond // as the document may say
	// mostLooks is how many a drill may take, so that Temporal can keep its evidence.
	mostLooks = 10_000
	// besides is how long the probes are asked at most before and after the watching.
	besides = time.Minute
)

// looks checks that the probes are not asked more often than can be kept.
func (c *checker) looks() {
	lasts, looks := time.Duration(c.plan.Watch)+besides, 0
	for _, p := range c.doc.Steady {
		looks += int(lasts / max(time.Duration(p.Every), leastEvery))
	}
	if looks > mostLooks {
		c.add(c.node.KeyPlace("steady"), "too-many", fmt.Sprintf("in %s these probes would look %d times, more than the %d that are kept", model.Duration(lasts), looks, mostLooks),
			"look less often with `every`, or for a shorter time")
	}
}

func (c *checker) fault(f Fault, node *document.Node) {
	fault, known := c.Faults.Get(f.Inject)
	if !known {
		if f.Inject != "" {
			c.add(node.Find("inject").At, "unknown-fault", fmt.Sprintf("there is no fault %q", f.Inject), suggest(f.Inject, c.Faults.Names(), "runbook faults lists them"))
		}
		return
	}
	c.duration(f, fault.OneShot, node)
	raw := c.used(node, "inject", fault.Name, fault.Params, func(n *document.Node) (bound, diag.List) { return fault.BindNode(n) })
	if with := node.Get("with"); with != nil {
		c.namespaces(with)
	}
	if raw != nil {
		c.plan.Faults = append(c.plan.Faults, PlanFault{ID: f.ID, Inject: f.Inject, With: raw, For: f.For, After: f.After, OneShot: fault.OneShot, Yields: fault.Yields})
	}
}

// duration checks that a fault ends, and soon enough.
func (c *checker) duration(f Fault, oneShot bool, node *document.Node) {
	most := c.doc.Limits.MaxDuration
	if most == 0 {
		most = model.Duration(chaos.DefaultMaxDuration)
	}
	switch written := node.Get("for") != nil; {
	case oneShot && written:
		c.add(node.KeyPlace("for"), "no-effect", fmt.Sprintf("for has no effect: %s is over once it happened", f.Inject), "remove it")
	case !oneShot && !written:
		c.add(node.At, "missing-key", fmt.Sprintf("%s needs the key %q", f.Inject, "for"), "How long it lasts at most.")
	case f.For > most:
		c.add(node.Find("for").At, "over-limit", fmt.Sprintf("for %s is longer than the limit of %s", f.For, most), "shorten it, or raise limits.max_duration")
	case f.After > most:
		c.add(node.Find("after").At, "over-limit", fmt.Sprintf("after %s is longer than the limit of %s", f.After, most), "shorten it, or raise limits.max_duration")
	}
}

// namespaces refuses what the limits would refuse when it is too late. Wherever
// a fault names a namespace it must be one of those allowed.
func (c *checker) namespaces(n *document.Node) {
	for _, e := range n.Entries {
		switch e.Key {
		case "namespace", "namespaces":
			for _, name := range append(e.Value.Items, e.Value) {
				c.namespace(name)
			}
		default:
			c.namespaces(e.Value)
		}
	}
	for _, item := range n.Items {
		c.namespaces(item)
	}
}

func (c *checker) namespace(name *document.Node) {
	if name.Kind != document.String || slices.Contains(c.doc.Limits.Namespaces, name.Text) {
		return
	}
	c.add(name.At, "outside-limits", fmt.Sprintf("the namespace %s is not among those allowed", name.Text), "add it to limits.namespaces, if a drill may touch it")
}

// watch is how long a drill is watched at most: until the last fault is over,
// and long enough to see what is expected after the last one begins.
func (c *checker) watch() model.Duration {
	var last, over time.Duration
	for _, f := range c.plan.Faults {
		last = max(last, time.Duration(f.After))
		over = max(over, time.Duration(f.After+f.For))
	}
	return model.Duration(max(over, last+c.plan.Expect.Longest()))
}

// Longest is how long after a fault took effect something may still be expected.
func (e Expect) Longest() (most time.Duration) {
	if e.Alert != nil {
		most = time.Duration(e.Alert.Within)
	}
	if e.Runbook != nil {
		most += time.Duration(e.Runbook.Within)
	}
	if e.Recovered != nil {
		most = max(most, time.Duration(e.Recovered.Within+e.Recovered.Hold))
	}
	return most
}
