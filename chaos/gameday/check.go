package gameday

import (
	"fmt"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// checker walks one document. The decoded struct says what is written, the node
// where. The plan is made on the way, from what proved to be right.
type checker struct {
	Options
	doc      *Document
	node     *document.Node
	problems diag.List
	plan     *Plan
	proven   *runbooks.Runbook // nil when there is none, or it is not known
}

func check(n *document.Node, o Options) (*Gameday, diag.List) {
	g := &Gameday{At: n.At, nameAt: n.Find("gameday").At}
	c := &checker{Options: o, doc: &g.Document, node: n, plan: &g.plan}
	c.problems = document.Decode(n, &g.Document)
	c.whole()
	c.proves()
	c.steady()
	c.faults()
	c.expect()
	c.schedule()
	c.names()
	return g, c.problems
}

func (c *checker) add(at diag.Place, code, text, hint string) { c.problems.Add(at, code, text, hint) }

// whole fills in the plan what needs no look.
func (c *checker) whole() {
	d := c.doc
	*c.plan = Plan{
		Gameday: d.Gameday, Digest: d.Digest(), Summary: d.Summary, Owner: d.Owner,
		Resource: d.Resource, Scope: d.Scope, Expect: d.Expect.filled(d.Proves != ""), Limits: d.Limits, Hooks: d.Hooks,
	}
	if d.Schedule != nil {
		c.plan.NotDuring = d.Schedule.NotDuring
	}
}

// filled is what is expected with what goes without saying: a drill that proves
// a runbook expects its run, and that it made the system well.
func (e Expect) filled(proves bool) Expect {
	if !proves {
		return e
	}
	if e.Runbook == nil {
		e.Runbook = absent[Remedying]()
	}
	if e.Recovered == nil && e.Runbook.Outcome == fixed {
		e.Recovered = absent[Recovering]()
	}
	return e
}

// absent is a block of which nothing is written: all of it is default.
func absent[T any]() *T {
	var block T
	if err := document.Decode(&document.Node{Kind: document.Map}, &block).Err(); err != nil {
		panic(fmt.Sprintf("gameday: %T has no default: %v", block, err))
	}
	return &block
}

// fixed is the outcome of a run that made the system well.
const fixed = "fixed"

func (c *checker) proves() {
	if c.doc.Proves == "" {
		return
	}
	c.plan.Proves = &Proven{Runbook: c.doc.Proves}
	if c.Runbooks == nil {
		return
	}
	at := c.node.Find("proves").At
	rb, known := c.Runbooks.Get(c.doc.Proves)
	if !known {
		c.add(at, "unknown-runbook", fmt.Sprintf("there is no runbook %q to prove", c.doc.Proves), document.Suggest(c.doc.Proves, c.Runbooks.Names()))
		return
	}
	c.proven, c.plan.Proves.Digest = rb, rb.Digest()
	if locked := rb.Guards.Resource; locked != "" && locked == c.doc.Resource {
		c.add(c.node.Find("resource").At, "resource-conflict",
			fmt.Sprintf("runbook %s locks %s as well: its run would wait for the end of the drill", c.doc.Proves, locked), "lock something else here, such as drill/"+c.doc.Gameday)
	}
}

// earlier reports an id that is used a second time. One that is missing was
// reported by the decoder.
func (c *checker) earlier(seen map[string]diag.Place, what, id string, at diag.Place) {
	first, twice := seen[id]
	if twice {
		c.add(at, "duplicate-id", fmt.Sprintf("the %s id %q is used twice", what, id), fmt.Sprintf("it is on line %d already", first.Line))
	} else if id != "" {
		seen[id] = at
	}
}

// names checks the names of what is in the engine's config.
func (c *checker) names() {
	if c.Connections == nil {
		return
	}
	hooks := c.node.Get("hooks")
	for key, name := range map[string]string{"grafana": c.doc.Hooks.Grafana, "webhook": c.doc.Hooks.Webhook} {
		if name == "" {
			continue
		}
		if err := c.Connections.Check("http", name); err != nil {
			c.add(hooks.Find(key).At, "unknown-connection", err.Error(), "connections are named in the engine's config")
		}
	}
}
