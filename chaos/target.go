package chaos

import "github.com/runbook-engine/runbook/actions"

// Target is one thing that a fault touches, and what limits ask of it.
type Target struct {
	actions.Target
	// Namespace and Labels are those of a Kubernetes object; empty elsewhere.
	Namespace string            `json:"namespace,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// Selection is what a fault would touch.
type Selection struct {
	Targets []Target `json:"targets"`
	// Population is how many things of that kind there are, of which Targets are
	// a part. 0 means that it is not known.
	Population int `json:"population,omitempty"`
}

// IDs are those of the targets.
func (s Selection) IDs() []string {
	ids := make([]string, len(s.Targets))
	for i, t := range s.Targets {
		ids[i] = t.ID
	}
	return ids
}

// One is a selection of a thing that is alone of its kind.
func One(id, doc string) Selection {
	return Selection{Targets: []Target{{Target: actions.Target{ID: id, Doc: doc}}}, Population: 1}
}
