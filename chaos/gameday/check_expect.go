package gameday

import (
	"fmt"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

func (c *checker) expect() {
	node, e := c.node.Find("expect"), c.doc.Expect
	if e.Alert == nil && e.Runbook == nil && e.Recovered == nil && len(e.Silent) == 0 {
		c.add(node.At, "expects-nothing", "this game day expects nothing, and would pass whatever happens", "add expect: {alert: …, recovered: …}")
	}
	alert := c.alert(node.Get("alert"))
	c.silent(node.Find("silent"), alert)
	c.runbook(node.Get("runbook"))
	c.recovered(node.Get("recovered"))
	c.endures()
	c.bearable()
	_, problems := matching.CompileMatchers(c.doc.Scope, c.node.Find("scope"))
	c.problems = append(c.problems, problems...)
	if c.doc.Control.NoRemedy && c.doc.Proves == "" {
		c.add(c.node.Find("control", "no_remedy").At, "no-effect", "no_remedy has no effect: this game day proves no runbook that could be left out", "remove it")
	}
}

// alert checks the expected alert, and gives what it demands.
func (c *checker) alert(node *document.Node) (expected matching.Condition) {
	e := c.doc.Expect.Alert
	if e == nil {
		if c.doc.Proves != "" {
			c.add(c.node.KeyPlace("proves"), "missing-key", "to prove a runbook, expect needs the alert that starts it", "add expect: {alert: {matchers: [alertname=\"…\"]}}")
		}
		return expected
	}
	c.aim(node, e.Aim, e.Within)
	expected, problems := matching.CompileMatchers(e.Matchers, node.Find("matchers"))
	c.problems = append(c.problems, problems...)
	if len(problems) > 0 || len(e.Matchers) == 0 {
		return expected
	}
	at := node.Get("matchers").At
	if expected.Matches(nil) {
		c.add(at, "any-alert", "almost every alert meets these matchers", "name the alert: alertname=\"…\"")
	}
	for name, values := range expected.Demands() {
		if len(values) == 0 {
			c.add(at, "contradiction", fmt.Sprintf("no alert can meet these matchers: their demands on the label %s exclude each other", name), "")
		}
	}
	if c.proven != nil && len(c.proven.Triggers) > 0 && !starts(c.proven.Triggers, expected) {
		c.add(at, "other-alert", fmt.Sprintf("an alert that meets these matchers does not start runbook %s", c.doc.Proves), "take them from its triggers")
	}
	return expected
}

// starts reports whether an alert that meets a condition can meet a trigger.
func starts(triggers []matching.Trigger, expected matching.Condition) bool {
	conditions, _ := matching.Compile(triggers, &document.Node{})
	return slices.ContainsFunc(conditions, func(trigger matching.Condition) bool {
		demands := expected.Demands()
		for name, values := range trigger.Demands() {
			if expects, both := demands[name]; both && !overlap(values, expects) {
				return false
			}
		}
		return true
	})
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(v string) bool { return slices.Contains(b, v) })
}

// silent finds matchers that the expected alert itself is bound to meet.
func (c *checker) silent(node *document.Node, expected matching.Condition) {
	for i, text := range c.doc.Expect.Silent {
		m, problems := matching.CompileMatchers([]string{text}, &document.Node{Kind: document.List, Items: []*document.Node{node.Find(i)}})
		c.problems = append(c.problems, problems...)
		if len(problems) == 0 && c.doc.Expect.Alert != nil && meets(m, expected) {
			c.add(node.Find(i).At, "contradiction", "the expected alert itself meets this matcher, and must not fire then", "")
		}
	}
}

// meets reports whether all alerts that meet a condition meet a matcher as well,
// as far as that can be told.
func meets(m, condition matching.Condition) bool {
	for name, values := range condition.Demands() {
		if len(values) == 0 || m.Matches(nil) {
			continue
		}
		if !slices.ContainsFunc(values, func(v string) bool { return !m.Matches(map[string]string{name: v}) }) {
			return true
		}
	}
	return false
}

func (c *checker) runbook(node *document.Node) {
	e := c.doc.Expect.Runbook
	if e == nil {
		return
	}
	if c.doc.Proves == "" {
		c.add(c.node.Find("expect").KeyPlace("runbook"), "no-effect", "there is no runbook of which this could be expected", "add proves: NAME")
	}
	c.aim(node, e.Aim, e.Within)
	if c.proven == nil {
		return
	}
	var ids []string
	for _, s := range c.proven.AllSteps() {
		ids = append(ids, s.ID)
	}
	for i, id := range e.Steps {
		if !slices.Contains(ids, id) {
			c.add(node.Find("steps", i).At, "unknown-step", fmt.Sprintf("runbook %s has no step %q", c.doc.Proves, id), document.Suggest(id, ids))
		}
	}
}

func (c *checker) recovered(node *document.Node) {
	e := c.doc.Expect.Recovered
	if e == nil {
		return
	}
	c.aim(node, e.Aim, e.Within)
	var ids []string
	for _, p := range c.doc.Steady {
		ids = append(ids, p.ID)
	}
	if e.Probe != "" && !slices.Contains(ids, e.Probe) {
		c.add(node.Find("probe").At, "unknown-probe", fmt.Sprintf("there is no steady probe %q", e.Probe), document.Suggest(e.Probe, ids))
	}
	because := c.node.Find("expect", "recovered", "because").At
	switch {
	case e.Because == ByRunbook && c.doc.Proves == "":
		c.add(because, "contradiction", "it can not recover because of a runbook: this game day proves none", "add proves: NAME")
	case c.plan.Because() == ByRunbook && c.plan.Expect.Runbook.Outcome != fixed:
		c.add(because, "contradiction", fmt.Sprintf("the run of the runbook is expected to end %s, and the system to recover because of it", c.plan.Expect.Runbook.Outcome), "say because of what else")
	case e.Because == "" && c.doc.Proves == "":
		c.add(node.At, "missing-key", `recovered needs the key "because", as no runbook is proven`, "itself, fault_expired, replacement or human")
	}
}

// endures finds faults that are over before the recovery is due: nobody could
// tell then what the system recovered by.
func (c *checker) endures() {
	e := c.plan.Expect.Recovered
	if e == nil || c.plan.Because() == ByExpiry {
		return
	}
	due := e.Within + e.Hold
	for _, f := range c.plan.Faults {
		if f.OneShot || f.For == 0 || f.After+f.For >= due {
			continue
		}
		i := slices.IndexFunc(c.doc.Faults, func(d Fault) bool { return d.ID == f.ID })
		c.add(c.node.Find("faults", i, "for").At, "too-short",
			fmt.Sprintf("the fault is over %s after the beginning, and the recovery is due within %s and must hold for %s", f.After+f.For, e.Within, e.Hold),
			fmt.Sprintf("for at least %s, or a shorter recovered.within", due))
	}
}

// bearable: without the runbook the system is unwell for as long as the runbook
// may take. A probe that stops the drill before keeps the control run from telling.
func (c *checker) bearable() {
	e := c.plan.Expect.Recovered
	if !c.doc.Control.NoRemedy || c.doc.Proves == "" || e == nil {
		return
	}
	i := slices.IndexFunc(c.doc.Steady, func(p Probe) bool { return p.ID == c.plan.RecoveryProbe() })
	if i < 0 || c.doc.Steady[i].AbortAfter > e.Within+e.Hold {
		return
	}
	c.add(c.node.Find("steady", i, "abort_after").At, "too-short",
		fmt.Sprintf("the drill stops when this was bad for %s, so that the control run no_remedy can not tell: the recovery is due within %s and must hold for %s", c.doc.Steady[i].AbortAfter, e.Within, e.Hold),
		fmt.Sprintf("abort_after more than %s, or a shorter recovered.within", e.Within+e.Hold))
}

func (c *checker) aim(node *document.Node, aim, within model.Duration) {
	if aim > within {
		c.add(node.Find("aim").At, "no-effect", fmt.Sprintf("aim %s is longer than within %s: what is slower has failed already", aim, within), "aim for less")
	}
}
