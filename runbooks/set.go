package runbooks

import (
	"github.com/prometheus/common/model"

	pkglabels "github.com/prometheus/alertmanager/pkg/labels"
)

// Set is the documents that an engine works with. It does not change.
type Set struct {
	byName map[string]*Runbook
	// An alert meets only the runbooks that its labels can lead to: by the value
	// of a label that a trigger demands, alertname first. The rest are looked at
	// one by one.
	byLabel map[pair][]*Runbook
	demand  []string // label names in byLabel
	rest    []*Runbook
}

type pair struct{ name, value string }

func newSet(byName map[string]*Runbook) *Set {
	s := &Set{byName: byName, byLabel: map[pair][]*Runbook{}}
	names := map[string]bool{}
	for _, name := range sortedKeys(byName) {
		s.index(byName[name], names)
	}
	s.demand = sortedKeys(names)
	return s
}

func (s *Set) index(rb *Runbook, names map[string]bool) {
	seen := map[pair]bool{}
	for _, t := range rb.triggers {
		p, ok := t.demands()
		if !ok {
			s.rest = append(s.rest, rb)
			return
		}
		if !seen[p] {
			seen[p] = true
			names[p.name] = true
			s.byLabel[p] = append(s.byLabel[p], rb)
		}
	}
}

// demands is a label that an alert must have for the trigger to match.
func (t trigger) demands() (pair, bool) {
	if t.alert != "" {
		return pair{model.AlertNameLabel, t.alert}, true
	}
	for _, m := range t.matchers {
		if m.Type == pkglabels.MatchEqual && m.Value != "" {
			return pair{m.Name, m.Value}, true
		}
	}
	return pair{}, false
}

func (t trigger) matches(a *Alert) bool {
	if t.alert != "" && a.Labels[model.AlertNameLabel] != t.alert {
		return false
	}
	for _, m := range t.matchers {
		if !m.Matches(a.Labels[m.Name]) {
			return false
		}
	}
	return true
}

func (rb *Runbook) matches(a *Alert) bool {
	for _, t := range rb.triggers {
		if t.matches(a) {
			return true
		}
	}
	return false
}

// RouteLabel is the label of an Alertmanager route that names a runbook.
const RouteLabel = "runbook"

// Match is the runbooks that answer an alert, sorted by name. A route label
// runbook=NAME binds the alert to that one, whatever its triggers.
func (s *Set) Match(a *Alert) []*Runbook {
	if name := a.RouteLabels[RouteLabel]; name != "" {
		if rb, ok := s.byName[name]; ok {
			return []*Runbook{rb}
		}
		return nil
	}
	found := map[string]*Runbook{}
	for _, name := range s.demand {
		collect(found, s.byLabel[pair{name, a.Labels[name]}], a)
	}
	collect(found, s.rest, a)
	if len(found) == 0 {
		return nil
	}
	out := make([]*Runbook, 0, len(found))
	for _, name := range sortedKeys(found) {
		out = append(out, found[name])
	}
	return out
}

func collect(found map[string]*Runbook, candidates []*Runbook, a *Alert) {
	for _, rb := range candidates {
		if _, done := found[rb.Runbook]; !done && rb.matches(a) {
			found[rb.Runbook] = rb
		}
	}
}

// Get finds a runbook by name.
func (s *Set) Get(name string) (*Runbook, bool) {
	rb, ok := s.byName[name]
	return rb, ok
}

// Names are all names, sorted.
func (s *Set) Names() []string { return sortedKeys(s.byName) }

// All is every runbook, sorted by name.
func (s *Set) All() []*Runbook {
	all := make([]*Runbook, 0, len(s.byName))
	for _, name := range s.Names() {
		all = append(all, s.byName[name])
	}
	return all
}
