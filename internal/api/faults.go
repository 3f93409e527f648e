package api

import (
	"github.com/runbook-engine/runbook/chaos"
)

// Fault is what a person needs to know to inject a fault: the reference, as
// data.
type Fault struct {
	Name    string  `json:"name"`
	Doc     string  `json:"doc"`
	OneShot bool    `json:"one_shot" doc:"It is over once it happened, and needs no healing."`
	Params  []Field `json:"params"`
	Example string  `json:"example" doc:"Parameters as they stand under with."`
}

// DescribeFault is the reference of a fault.
func DescribeFault(f chaos.Fault) Fault {
	return Fault{Name: f.Name, Doc: f.Doc, OneShot: f.OneShot, Example: f.Example, Params: fields(f.Params, true)}
}

// DescribeFaults is the reference of a catalog, sorted by name.
func DescribeFaults(c *chaos.Catalog) []Fault {
	all := make([]Fault, 0, len(c.Names()))
	for _, f := range c.All() {
		all = append(all, DescribeFault(f))
	}
	return all
}
