package shape

import (
	"encoding/json"
	"math"
	"reflect"

	"github.com/invopop/jsonschema"
)

// Customizer is a type that writes its own JSON Schema, because it reads more
// than one form.
type Customizer interface {
	JSONSchema() *jsonschema.Schema
}

const durationPattern = `^((\d+)y)?((\d+)w)?((\d+)d)?((\d+)h)?((\d+)m)?((\d+)s)?((\d+)ms)?$|^0$`

// hole is a value that is known when the run starts: ${ expression }.
var hole = &jsonschema.Schema{Type: "string", Pattern: `\$\{`, Description: "an expression: ${…}"}

// Schema is the JSON Schema (2020-12) of the type. With holes, any value may
// also be a ${…} expression.
func (t *Type) Schema(holes bool) *jsonschema.Schema {
	if custom, ok := reflect.New(t.Go).Interface().(Customizer); ok {
		return custom.JSONSchema()
	}
	s := t.plainSchema(holes)
	if !holes || t.Kind == Struct || t.Kind == Any || t.Kind == String {
		return s
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, hole}}
}

func (t *Type) plainSchema(holes bool) *jsonschema.Schema {
	switch t.Kind {
	case Duration:
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern}
	case Time:
		return &jsonschema.Schema{Type: "string", Format: "date-time"}
	case List:
		return &jsonschema.Schema{Type: "array", Items: t.Elem.Schema(holes)}
	case Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: t.Elem.Schema(holes)}
	case Struct:
		return t.structSchema(holes)
	case Any:
		return &jsonschema.Schema{}
	default:
		return &jsonschema.Schema{Type: string(t.Kind)}
	}
}

func (t *Type) structSchema(holes bool) *jsonschema.Schema {
	s := &jsonschema.Schema{
		Type:                 "object",
		Properties:           jsonschema.NewProperties(),
		AdditionalProperties: jsonschema.FalseSchema,
	}
	for _, f := range t.Fields {
		s.Properties.Set(f.Name, f.schema(holes))
		if f.Required {
			s.Required = append(s.Required, f.Name)
		}
	}
	return s
}

func (f Field) schema(holes bool) *jsonschema.Schema {
	s := f.Type.Schema(false)
	f.constrain(s)
	if holes {
		s = withHole(f, s)
	}
	s.Description = f.Doc
	if f.HasDefault {
		s.Default = defaultValue(f)
	}
	if f.Example != "" {
		s.Examples = []any{f.Example}
	}
	return s
}

// withHole admits an expression where the field's own form has no room for it.
func withHole(f Field, s *jsonschema.Schema) *jsonschema.Schema {
	free := f.Type.Kind == String && f.Enum == nil && f.Pattern == nil
	if free || f.Type.Kind == Any {
		return s
	}
	if f.Type.Kind == List || f.Type.Kind == Map || f.Type.Kind == Struct {
		s = f.Type.Schema(true)
		if s.AnyOf != nil {
			return s
		}
	}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, hole}}
}

func (f Field) constrain(s *jsonschema.Schema) {
	for _, value := range f.Enum {
		s.Enum = append(s.Enum, value)
	}
	if f.Pattern != nil {
		s.Pattern = f.Pattern.String()
	}
	switch f.Type.Kind {
	case Int, Float:
		s.Minimum, s.Maximum = number(f.Min), number(f.Max)
	case String:
		s.MinLength, s.MaxLength = length(f.Min), length(f.Max)
	case List:
		s.MinItems, s.MaxItems = length(f.Min), length(f.Max)
	}
}

func defaultValue(f Field) any {
	switch f.Type.Kind {
	case Int, Float, Bool, List, Map, Struct:
		return json.RawMessage(f.Default)
	default:
		return f.Default
	}
}

func number(n *float64) json.Number {
	if n == nil {
		return ""
	}
	b, _ := json.Marshal(*n)
	return json.Number(b)
}

func length(n *float64) *uint64 {
	if n == nil {
		return nil
	}
	u := uint64(math.Max(0, *n))
	return &u
}
