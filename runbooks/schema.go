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

// useActions ties `with` to `do`.
func useActions(s *jsonschema.Schema, all []actions.Action) {
	do, _ := s.Properties.Get("do")
	for _, a := range all {
		do.Enum = append(do.Enum, a.Name)
		s.AllOf = append(s.AllOf, &jsonschema.Schema{If: withKey("do", &jsonschema.Schema{Const: a.Name}), Then: with(a)})
	}
}

// with is what stands beside an action: its parameters, which may be left out
// where none of them is required.
func with(a actions.Action) *jsonschema.Schema {
	params := a.Params.Schema(true)
	params.Description = a.Doc
	s := withKey("with", params)
	if len(params.Required) == 0 {
		s.Required = nil
	}
	return s
}

// withKey describes an object that has a key.
func withKey(name string, value *jsonschema.Schema) *jsonschema.Schema {
	p := jsonschema.NewProperties()
	p.Set(name, value)
	return &jsonschema.Schema{Properties: p, Required: []string{name}}
}
