package actions

import (
	"fmt"
	"maps"
	"slices"
)

// System is what one package of actions contributes.
type System struct {
	Connection *ConnectionKind // nil when its actions need none
	Actions    []Action
}

// Catalog is all actions by name.
type Catalog struct {
	actions map[string]Action
	kinds   []*ConnectionKind
}

// NewCatalog joins systems. It panics when two declare the same name.
func NewCatalog(systems ...System) *Catalog {
	c := &Catalog{actions: map[string]Action{}}
	for _, s := range systems {
		if s.Connection != nil {
			c.kinds = append(c.kinds, s.Connection)
		}
		for _, a := range s.Actions {
			if _, dup := c.actions[a.Name]; dup {
				panic(fmt.Sprintf("actions: %q is declared twice", a.Name))
			}
			c.actions[a.Name] = a
		}
	}
	return c
}

// Get finds an action.
func (c *Catalog) Get(name string) (Action, bool) {
	a, ok := c.actions[name]
	return a, ok
}

// Names are the names of all actions, sorted.
func (c *Catalog) Names() []string { return slices.Sorted(maps.Keys(c.actions)) }

// All is every action, sorted by name.
func (c *Catalog) All() []Action {
	all := make([]Action, 0, len(c.actions))
	for _, name := range c.Names() {
		all = append(all, c.actions[name])
	}
	return all
}

// Kinds are the kinds of connections.
func (c *Catalog) Kinds() []*ConnectionKind { return c.kinds }
