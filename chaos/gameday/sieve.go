package gameday

import (
	"fmt"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

// Sieve tells alerts apart by what a plan says of them.
type Sieve struct {
	expected, scope matching.Condition
	expects         bool
	silent          []matching.Condition
}

// Sieve compiles the matchers of the plan. They were checked when the document
// was loaded; an error means that the plan was not made from one.
func (p *Plan) Sieve() (s Sieve, err error) {
	if p.Expect.Alert != nil && len(p.Expect.Alert.Matchers) > 0 {
		s.expects = true
		if s.expected, err = condition(p.Expect.Alert.Matchers...); err != nil {
			return s, err
		}
	}
	if s.scope, err = condition(p.Scope...); err != nil {
		return s, err
	}
	for _, text := range p.Expect.Silent {
		one, err := condition(text)
		if err != nil {
			return s, err
		}
		s.silent = append(s.silent, one)
	}
	return s, nil
}

func condition(texts ...string) (matching.Condition, error) {
	c, problems := matching.CompileMatchers(texts, &document.Node{Kind: document.List})
	if len(problems) > 0 {
		return c, fmt.Errorf("matchers of the plan: %s", problems[0].Text)
	}
	return c, nil
}

// Expected reports that the drill waits for such an alert.
func (s Sieve) Expected(labels map[string]string) bool {
	return s.expects && s.expected.Matches(labels)
}

// Real reports that such an alert is an incident, to which a drill gives way.
// The engine's own alerts are none.
func (s Sieve) Real(labels map[string]string) bool {
	return !s.Expected(labels) && labels[runbooks.OwnLabel] != runbooks.OwnValue && s.scope.Matches(labels)
}

// Silent reports that such an alert must not fire during the drill.
func (s Sieve) Silent(labels map[string]string) bool {
	for _, one := range s.silent {
		if one.Matches(labels) {
			return true
		}
	}
	return false
}

// Concerns reports that the drill has something to make of such an alert.
func (s Sieve) Concerns(labels map[string]string) bool {
	return s.Expected(labels) || s.Real(labels) || s.Silent(labels)
}
