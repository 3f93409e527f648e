package unittest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks"
)

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// checker walks the cases of a file with the document that they are about.
type checker struct {
	*Tested
	catalog  *actions.Catalog
	steps    map[string]runbooks.Step
	problems diag.List
}

func (c *checker) add(at diag.Place, code, text, hint string) { c.problems.Add(at, code, text, hint) }

func (c *checker) all() {
	for _, s := range c.Runbook.AllSteps() {
		c.steps[s.ID] = s
	}
	names := map[string]bool{}
	for i := range c.Cases {
		one, node := &c.Cases[i], c.Case(i)
		if names[one.Name] {
			c.add(node.Find("name").At, "duplicate-name", fmt.Sprintf("the case %q is here twice", one.Name), "")
		}
		names[one.Name] = true
		c.start(one, node)
		c.world(one, node)
		c.expected(one, node.Find("expect"))
	}
}

// start checks how a case begins.
func (c *checker) start(one *Case, node *document.Node) {
	if one.Alert != nil {
		for _, key := range []string{"params", "dry_run"} {
			if node.Get(key) != nil {
				c.add(node.KeyPlace(key), "exclusive-keys", key+" is for a start by hand; this case has an alert", "remove one of them")
			}
		}
		if one.Alert.Labels["alertname"] == "" {
			c.add(node.Find("alert", "labels").At, "missing-key", "an alert has the label alertname", "")
		}
	}
	asksForProof := c.Runbook.Autonomy.Proof != nil && one.Alert != nil
	switch {
	case asksForProof && one.Proven == nil:
		c.add(node.At, "missing-key", "the runbook needs a proof to act by itself, and the case does not say whether there is one", "add proven: true or false")
	case !asksForProof && one.Proven != nil:
		c.add(node.KeyPlace("proven"), "no-effect", "proven has no effect: nothing asks for a proof here", "remove it")
	}
	if one.Alert == nil && (one.Resolves > 0 || one.FiresAgain > 0) {
		c.add(node.At, "no-effect", "there is no alert that could end or fire again", "add an alert")
	}
	if c.Runbook.Guards.Resource == "" && one.Held != nil {
		c.add(node.KeyPlace("held"), "no-effect", "held has no effect: the runbook locks no resource", "remove it, or add guards: {resource: …}")
	}
}

// world checks what a case declares against the types of the actions, and puts
// each output into the form that the action would give.
func (c *checker) world(one *Case, node *document.Node) {
	for _, id := range sorted(one.Steps) {
		at := node.Find("steps", id)
		s, known := c.steps[id]
		if !known {
			c.add(node.Find("steps").KeyPlace(id), "unknown-step", fmt.Sprintf("runbook %s has no step %q", c.Test, id), document.Suggest(id, sorted(c.steps)))
			continue
		}
		answers := one.Steps[id]
		c.step(&answers, s, at)
		one.Steps[id] = answers
	}
	if one.Verify != nil {
		c.look(one.Verify, node.Find("verify"), c.Runbook.Verify, "the runbook")
	}
}

func (c *checker) step(answers *Step, s runbooks.Step, node *document.Node) {
	action, known := c.catalog.Get(s.Do)
	if !known {
		return // the document does not lint
	}
	c.selection(answers, action, node)
	c.replies(answers.Answers, node.Get("answers"), action)
	for _, target := range sorted(answers.On) {
		at := node.Find("on", target)
		if answers.Targets != nil && !slices.Contains(*answers.Targets, target) {
			c.add(node.Find("on").KeyPlace(target), "unknown-target", fmt.Sprintf("%q is not one of the targets", target), document.Suggest(target, *answers.Targets))
		}
		c.replies(answers.On[target], at, action)
	}
	if answers.Undo != nil {
		c.undo(answers.Undo, node, action)
	}
	if answers.Verify != nil {
		c.look(answers.Verify, node.Find("verify"), s.Verify, "step "+s.ID)
	}
	if answers.Watch != nil {
		var watch *runbooks.Check
		if s.Rollout != nil {
			watch = s.Rollout.Breach()
		}
		c.look(answers.Watch, node.Find("watch"), watch, "step "+s.ID)
	}
}

func (c *checker) selection(answers *Step, action actions.Action, node *document.Node) {
	if action.Selects {
		return
	}
	for _, key := range []string{"targets", "population", "healthy", "fails", "on"} {
		if node.Get(key) != nil {
			c.add(node.KeyPlace(key), "no-effect", fmt.Sprintf("%s has no effect: %s always has one target", key, action.Name), "remove it")
		}
	}
}

func (c *checker) undo(replies Replies, node *document.Node, action actions.Action) {
	if !action.Undoes() {
		c.add(node.KeyPlace("undo"), "no-effect", action.Name+" can not be undone", "remove it")
	}
	for i, r := range replies {
		if r.Output != nil {
			c.add(itemOf(node.Get("undo"), i).KeyPlace("output"), "no-effect", "an undo gives nothing", "write {} where it succeeds")
		}
	}
}

func (c *checker) look(replies Replies, node *document.Node, check *runbooks.Check, whose string) {
	if check == nil {
		c.add(node.At, "no-effect", whose+" looks at nothing here", "remove it")
		return
	}
	if probe, known := c.catalog.Get(check.Do); known {
		c.replies(replies, node, probe)
	}
}

func (c *checker) replies(replies Replies, node *document.Node, action actions.Action) {
	for i := range replies {
		c.reply(&replies[i], itemOf(node, i), action)
	}
}

// itemOf is where an answer is written: one, or the one with a number.
func itemOf(n *document.Node, i int) *document.Node {
	if n != nil && n.Kind == document.List && i < len(n.Items) {
		return n.Items[i]
	}
	return n
}

func (c *checker) reply(r *Reply, node *document.Node, action actions.Action) {
	output := node.Get("output")
	switch {
	case r.Error != "" && output != nil:
		c.add(node.KeyPlace("output"), "exclusive-keys", "an answer is an output or an error, not both", "remove one")
		return
	case r.Error != "":
		return
	case node.Get("class") != nil:
		c.add(node.KeyPlace("class"), "no-effect", "class is for an error", "remove it")
	}
	if output == nil {
		output = &document.Node{Kind: document.Map, At: node.At}
	}
	if output.Kind == document.Map {
		r.Output = c.output(output, action)
	}
}

// output reads what an action is said to give by the type that it declares.
func (c *checker) output(n *document.Node, action actions.Action) document.Values {
	n.Title = "the output of " + action.Name
	for _, f := range action.Result.Fields {
		if f.Required && n.Get(f.Name) == nil {
			fillEmpty(n, f)
		}
	}
	into := reflect.New(action.Result.Go)
	problems := document.Decode(n, into.Interface())
	c.problems = append(c.problems, problems...)
	raw, err := json.Marshal(into.Interface())
	if err != nil || len(problems) > 0 {
		return nil
	}
	var values document.Values
	if err := values.UnmarshalJSON(raw); err != nil {
		c.add(n.At, "wrong-type", err.Error(), "")
	}
	return values
}

// fillEmpty: what holds many holds none where nothing is said.
func fillEmpty(n *document.Node, f shape.Field) {
	kinds := map[shape.Kind]document.Kind{shape.List: document.List, shape.Map: document.Map}
	if kind, many := kinds[f.Type.Kind]; many {
		n.Entries = append(n.Entries, document.Entry{Key: f.Name, At: n.At, Value: &document.Node{Kind: kind, At: n.At}})
	}
}

func (c *checker) expected(one *Case, node *document.Node) {
	if node.Kind == document.Map && len(node.Entries) == 0 {
		c.add(node.At, "missing-key", "the case expects nothing", "such as {outcome: fixed}")
	}
	e := one.Expect
	if e.Decision == "no_match" {
		if one.Alert == nil {
			c.add(node.Find("decision").At, "no-effect", "a start by hand matches nothing", "add an alert")
		}
		for _, entry := range node.Entries {
			if entry.Key != "decision" {
				c.add(entry.At, "no-effect", entry.Key+" has no effect: there is no run", "remove it")
			}
		}
	}
	if e.Steps != nil {
		for i, s := range *e.Steps {
			at := node.Find("steps", i)
			c.known(s.ID, at.Find("id").At)
		}
	}
	if e.Undone != nil {
		for i, id := range *e.Undone {
			c.known(id, node.Find("undone", i).At)
		}
	}
	if e.Within > 0 && e.NotUntil > e.Within {
		c.add(node.KeyPlace("not_until"), "times", fmt.Sprintf("not_until %s is later than within %s", e.NotUntil, e.Within), "")
	}
}

func (c *checker) known(id string, at diag.Place) {
	if _, known := c.steps[id]; !known && strings.TrimSpace(id) != "" {
		c.add(at, "unknown-step", fmt.Sprintf("runbook %s has no step %q", c.Test, id), document.Suggest(id, sorted(c.steps)))
	}
}
