package shape

import "github.com/invopop/jsonschema"

// Use is a thing that a document can name, and the parameters that then stand
// under `with`.
type Use struct {
	Name   string
	Doc    string
	Params *Type
}

// Choose ties `with` to the key that names what is used. With holes, parameters
// may be ${…} expressions.
func Choose(s *jsonschema.Schema, key string, uses []Use, holes bool) {
	chosen, _ := s.Properties.Get(key)
	for _, u := range uses {
		chosen.Enum = append(chosen.Enum, u.Name)
		s.AllOf = append(s.AllOf, &jsonschema.Schema{If: withKey(key, &jsonschema.Schema{Const: u.Name}), Then: u.with(holes)})
	}
}

// with is what stands beside the name: the parameters, which may be left out
// where none of them is required.
func (u Use) with(holes bool) *jsonschema.Schema {
	params := u.Params.Schema(holes)
	params.Description = u.Doc
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
