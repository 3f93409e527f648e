// Package matching says which alerts start what, and finds it by an index
// rather than by a scan.
package matching

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Trigger is one set of alerts, as written.
type Trigger struct {
	Alert    string   `json:"alert,omitempty" optional:"true" min:"1" doc:"Value of the label alertname."`
	Matchers []string `json:"matchers,omitempty" optional:"true" doc:"Alertmanager's matchers; all must hold."`
}

// Condition is a Trigger that was compiled: what an alert's labels must be.
type Condition struct{ matchers labels.Matchers }

// Matches reports whether labels meet the condition. A label that is not there
// is the empty text.
func (c Condition) Matches(alert map[string]string) bool {
	for _, m := range c.matchers {
		if !m.Matches(alert[m.Name]) {
			return false
		}
	}
	return true
}

// Demands are the labels of which only a few values meet the condition, with
// these values. With none, no alert meets it.
func (c Condition) Demands() map[string][]string {
	demands := map[string][]string{}
	for _, m := range c.matchers {
		if values, few := valuesOf(m); few {
			demands[m.Name] = values
		}
	}
	for name, values := range demands {
		demands[name] = slices.DeleteFunc(values, func(v string) bool { return !c.accepts(name, v) })
	}
	return demands
}

func (c Condition) accepts(name, value string) bool {
	for _, m := range c.matchers {
		if m.Name == name && !m.Matches(value) {
			return false
		}
	}
	return true
}

// alternatives is a regular expression that is nothing but a choice of words.
var alternatives = regexp.MustCompile(`^[A-Za-z0-9_:/ -]+(\|[A-Za-z0-9_:/ -]+)*$`)

// valuesOf lists what a matcher accepts, where that is a few texts.
func valuesOf(m *labels.Matcher) (values []string, finite bool) {
	switch {
	case m.Type == labels.MatchEqual && m.Value != "":
		return []string{m.Value}, true
	case m.Type == labels.MatchRegexp && alternatives.MatchString(m.Value):
		return strings.Split(m.Value, "|"), true
	}
	return nil, false
}

// Compile checks the triggers that stand at a node, a list, and compiles them.
func Compile(triggers []Trigger, node *document.Node) (conditions []Condition, problems diag.List) {
	seen := map[string]diag.Place{}
	for i, t := range triggers {
		at := node.Find(i)
		c, found := compile(t, at)
		problems = append(problems, found...)
		if len(found) > 0 {
			continue
		}
		if first, twice := seen[c.key()]; twice {
			problems.Add(at.At, "duplicate-trigger", "this trigger is here twice", fmt.Sprintf("it is on line %d already", first.Line))
			continue
		}
		seen[c.key()] = at.At
		conditions = append(conditions, c)
	}
	return conditions, problems
}

// CompileMatchers compiles the matchers that stand at a node, a list. They may
// demand nothing: unlike a trigger, what they are for may be meant for all
// alerts but a few.
func CompileMatchers(texts []string, node *document.Node) (c Condition, problems diag.List) {
	for i, text := range texts {
		m, err := parse.Matcher(text)
		if err != nil {
			problems = append(problems, matcherProblem(node.Find(i), text, err))
			continue
		}
		c.matchers = append(c.matchers, m)
	}
	return c, problems
}

func compile(t Trigger, node *document.Node) (c Condition, problems diag.List) {
	c, problems = CompileMatchers(t.Matchers, node.Find("matchers"))
	if t.Alert != "" {
		c.matchers = append(c.matchers, &labels.Matcher{Type: labels.MatchEqual, Name: model.AlertNameLabel, Value: t.Alert})
	}
	if len(problems) > 0 {
		return c, problems
	}
	if !slices.ContainsFunc(c.matchers, func(m *labels.Matcher) bool { return !m.Matches("") }) {
		problems.Add(node.At, "empty-trigger", "this trigger demands nothing of an alert, and would match almost every one",
			"name an alert, or add a matcher that the empty text does not meet: severity=\"page\"")
		return c, problems
	}
	for name, values := range c.Demands() {
		if len(values) == 0 {
			problems.Add(node.At, "contradiction", fmt.Sprintf("no alert can meet this trigger: its demands on the label %s exclude each other", name), "")
		}
	}
	return c, problems
}

// key is the same for triggers that say the same.
func (c Condition) key() string {
	texts := make([]string, len(c.matchers))
	for i, m := range c.matchers {
		texts[i] = m.String()
	}
	slices.Sort(texts)
	return strings.Join(slices.Compact(texts), ",")
}

// placed is how Alertmanager's parser tells the place: "from:to: ".
var placed = regexp.MustCompile(`^(\d+):\d+: `)

func matcherProblem(n *document.Node, text string, err error) diag.Problem {
	message, at := err.Error(), n.At
	if m := placed.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		if offset, err := strconv.Atoi(m[1]); err == nil {
			at = n.PlaceOf(offset)
		}
	}
	message = strings.TrimPrefix(message, "failed to create matcher: ")
	return diag.Problem{
		File: at.File, Line: at.Line, Col: at.Col, Code: "matcher",
		Text: fmt.Sprintf("matcher %q: %s", document.Shorten(text, 60), message),
		Hint: `one matcher in Alertmanager's syntax, such as 'severity=~"critical|page"'`,
	}
}
