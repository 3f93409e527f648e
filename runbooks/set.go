package runbooks

import (
	"github.com/runbook-engine/runbook/runbooks/matching"
)

// Set is the documents that an engine works with. It does not change.
type Set struct {
	byName map[string]*Runbook
	all    []*Runbook // sorted by name
	index  *matching.Index
}

func newSet(byName map[string]*Runbook) *Set {
	s := &Set{byName: byName}
	var conditions [][]matching.Condition
	for _, name := range sortedKeys(byName) {
		s.all = append(s.all, byName[name])
		conditions = append(conditions, byName[name].conditions)
	}
	s.index = matching.NewIndex(conditions)
	return s
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
	var found []*Runbook
	for _, i := range s.index.Match(a.Labels) {
		found = append(found, s.all[i])
	}
	return found
}

// Get finds a runbook by name.
func (s *Set) Get(name string) (*Runbook, bool) {
	rb, ok := s.byName[name]
	return rb, ok
}

// Names are all names, sorted.
func (s *Set) Names() []string { return sortedKeys(s.byName) }

// All is every runbook, sorted by name.
func (s *Set) All() []*Runbook { return append([]*Runbook(nil), s.all...) }
