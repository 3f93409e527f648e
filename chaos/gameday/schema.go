package gameday

import (
	"github.com/invopop/jsonschema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Schema is the JSON Schema of game days, for editors: the parameters under
// `with` are those of the probe under `do`, or of the fault under `inject`.
func Schema(catalog *actions.Catalog, faults *chaos.Catalog) *jsonschema.Schema {
	s := shape.For[Document]().Schema(false)
	s.Version = jsonschema.Version
	s.Title = "Game day"
	steady, _ := s.Properties.Get("steady")
	shape.Choose(steady.Items, "do", probes(catalog), false)
	injected, _ := s.Properties.Get("faults")
	shape.Choose(injected.Items, "inject", uses(faults), false)
	return s
}

func probes(catalog *actions.Catalog) (all []shape.Use) {
	for _, a := range catalog.All() {
		if !a.Risk.Writes() && !a.Selects {
			all = append(all, shape.Use{Name: a.Name, Doc: a.Doc, Params: a.Params})
		}
	}
	return all
}

func uses(faults *chaos.Catalog) (all []shape.Use) {
	for _, f := range faults.All() {
		all = append(all, shape.Use{Name: f.Name, Doc: f.Doc, Params: f.Params})
	}
	return all
}
