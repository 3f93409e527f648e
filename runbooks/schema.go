package runbooks

import (
	"github.com/invopop/jsonschema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/shape"
)

func schemaOf[T any]() *jsonschema.Schema { return shape.For[T]().Schema(false) }

// Schema is the JSON Schema of runbooks, for editors: the parameters under
// `with` are those of the action under `do`.
func Schema(catalog *actions.Catalog) *jsonschema.Schema {
	s := schemaOf[Document]()
	s.Version = jsonschema.Version
	s.Title = "Runbook"
	s.OneOf = []*jsonschema.Schema{{Required: []string{"steps"}}, {Required: []string{"remedies"}}}
	remedies, _ := s.Properties.Get("remedies")
	for _, owner := range []*jsonschema.Schema{s, remedies.Items} {
		steps, _ := owner.Properties.Get("steps")
		useActions(steps.Items, catalog.All())
		useProbes(steps.Items, catalog)
	}
	useProbes(s, catalog)
	return s
}

func useProbes(owner *jsonschema.Schema, catalog *actions.Catalog) {
	verify, _ := owner.Properties.Get("verify")
	useActions(verify, probes(catalog))
}

func probes(catalog *actions.Catalog) []actions.Action {
	var found []actions.Action
	for _, a := range catalog.All() {
		if !a.Risk.Writes() && !a.Selects {
			found = append(found, a)
		}
	}
	return found
}

func useActions(s *jsonschema.Schema, all []actions.Action) {
	uses := make([]shape.Use, len(all))
	for i, a := range all {
		uses[i] = shape.Use{Name: a.Name, Doc: a.Doc, Params: a.Params}
	}
	shape.Choose(s, "do", uses, true)
}
