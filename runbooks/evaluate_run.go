package runbooks

import (
	"fmt"
	"regexp"

	"github.com/runbook-engine/runbook/runbooks/expression"
)

// resourceForm is what a resource may be: a name without spaces that an audit
// line and a log can hold. One that ends in a slash lacks its last part, and
// would be shared by everything that lacks it as well.
var resourceForm = regexp.MustCompile(`^[^\s\pC]{0,252}[^\s\pC/]$`)

// Resource is what the run must lock; "" when its document names nothing. A
// resource without an answer is an error, and the run must not act: two runs
// would not see each other.
func (e *Evaluator) Resource(p *Plan, m Moment) (string, error) {
	source := p.Document.Guards.Resource
	if source == "" {
		return "", nil
	}
	t, err := expression.ParseTemplate(source)
	if err != nil {
		return "", fmt.Errorf("resource %q: %w", source, err)
	}
	values, err := p.values(e.catalog, m)
	if err != nil {
		return "", err
	}
	value, err := t.Render(func(source string) (any, error) { return e.eval(p, m, 0, source, values) })
	if err != nil {
		return "", fmt.Errorf("resource %q: %w", source, err)
	}
	name, ok := value.(string)
	if !ok || !resourceForm.MatchString(name) {
		return "", fmt.Errorf("resource %q is %q here, which names nothing: it must be 1 to 253 characters without spaces, and not end in a slash", source, value)
	}
	return name, nil
}

// Remedy answers whether the remedy with a number is tried, and why not. Where
// that depends on a step that a dry run left out it is, and the reason says so.
func (e *Evaluator) Remedy(p *Plan, m Moment, i int) (try bool, reason string, err error) {
	condition := p.Document.Remedies[i].If
	if condition == "" {
		return true, "", nil
	}
	if missing := dependsOn(m, condition); missing != "" {
		return true, fmt.Sprintf("depends on step %s, which a dry run leaves out", missing), nil
	}
	yes, err := e.condition(p, m, p.Document.firstStep(i), condition)
	if err != nil || yes {
		return yes, "", err
	}
	return false, "its condition is false: " + condition, nil
}

// firstStep is the number, among all steps, of the first one of a remedy.
func (d *Document) firstStep(remedy int) (n int) {
	for _, r := range d.Remedies[:remedy] {
		n += len(r.Steps)
	}
	return n
}
