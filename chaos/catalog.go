package chaos

import (
	"fmt"
	"maps"
	"slices"

	"github.com/runbook-engine/runbook/actions"
)

// Catalog is all faults by name, and the injectors that they belong to.
type Catalog struct {
	faults    map[string]Fault
	injectors []Injector
}

// NewCatalog joins injectors. It panics when two declare the same name, or when
// one is declared by half.
func NewCatalog(injectors ...Injector) *Catalog {
	c := &Catalog{faults: map[string]Fault{}, injectors: injectors}
	for _, i := range injectors {
		if i.Active == nil || i.Heal == nil {
			panic(fmt.Sprintf("chaos: injector %q needs Active and Heal", i.Name))
		}
		for _, f := range i.Faults {
			if _, dup := c.faults[f.Name]; dup || f.Injector() != i.Name {
				panic(fmt.Sprintf("chaos: %q is declared twice, or is no fault of the injector %q", f.Name, i.Name))
			}
			c.faults[f.Name] = f
		}
	}
	return c
}

// Get finds a fault.
func (c *Catalog) Get(name string) (Fault, bool) {
	f, ok := c.faults[name]
	return f, ok
}

// Names are the names of all faults, sorted.
func (c *Catalog) Names() []string { return slices.Sorted(maps.Keys(c.faults)) }

// All is every fault, sorted by name.
func (c *Catalog) All() []Fault {
	all := make([]Fault, 0, len(c.faults))
	for _, name := range c.Names() {
		all = append(all, c.faults[name])
	}
	return all
}

// Kinds are the kinds of connections that only faults use.
func (c *Catalog) Kinds() []*actions.ConnectionKind {
	var kinds []*actions.ConnectionKind
	for _, i := range c.injectors {
		if i.Connection != nil {
			kinds = append(kinds, i.Connection)
		}
	}
	return kinds
}
