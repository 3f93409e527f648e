package shape

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"

	"github.com/invopop/jsonschema"
)

// Customizer is a type that writes its own JSON Schema, because it reads more
// than one form.
type Customizer interface {
	JSONSchema() *jsonschema.Schema
}

// durationPattern is Prometheus' own, https://prometheus.io/docs/prometheus/latest/configuration/configuration/
// without the empty string, in what both ECMA 262 and RE2 read.
const durationPattern = `^(0|([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$`

func durationSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "string", Pattern: durationPattern, MinLength: &one},
		{Const: 0},
	}}
}

// hole is a value that is known when the run starts: ${ expression }.
var hole = &jsonschema.Schema{Type: "string", Pattern: `\$\{`, Description: "an expression: ${…}"}

func orHole(s *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{s, hole}}
}

// Schema is the JSON Schema (2020-12) of the type. With holes, any value may
// also be a ${…} expression.
func (t *Type) Schema(holes bool) *jsonschema.Schema {
	s := t.ownSchema(holes)
	if !holes || t.Kind == Struct || t.Kind == Any || t.Kind == String {
		return s
	}
	return orHole(s)
}

func (t *Type) ownSchema(holes bool) *jsonschema.Schema {
	goType := t.Go
	if goType.Kind() == reflect.Pointer {
		goType = goType.Elem()
	}
	if custom, ok := reflect.New(goType).Interface().(Customizer); ok {
		return custom.JSONSchema()
	}
	return t.plainSchema(holes)
}

func (t *Type) plainSchema(holes bool) *jsonschema.Schema {
	switch t.Kind {
	case Duration:
		return durationSchema()
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
	s := f.Type.ownSchema(holes)
	f.constrainText(s, holes)
	f.constrainSize(s)
	free := f.Type.Kind == Any || f.Type.Kind == String && f.Enum == nil && f.Pattern == nil
	if holes && !free {
		s = orHole(s)
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

// constrainText sets what a string matches: the field's own, or each of a list.
func (f Field) constrainText(s *jsonschema.Schema, holes bool) {
	if f.Enum == nil && f.Pattern == nil {
		return
	}
	text := s
	if f.Type.Kind == List {
		text = s.Items
		if holes {
			s.Items = orHole(text)
		}
	}
	for _, value := range f.Enum {
		text.Enum = append(text.Enum, value)
	}
	if f.Pattern != nil {
		text.Pattern = f.Pattern.String()
	}
}

func (f Field) constrainSize(s *jsonschema.Schema) {
	switch f.Type.Kind {
	case Int, Float:
		s.Minimum, s.Maximum = number(f.Min), number(f.Max)
	case String:
		s.MinLength, s.MaxLength = length(f.Min), length(f.Max)
	case List:
		s.MinItems, s.MaxItems = length(f.Min), length(f.Max)
	case Map:
		s.MinProperties, s.MaxProperties = length(f.Min), length(f.Max)
	}
}

func defaultValue(f Field) any {
	if f.defaultIsText() {
		return f.Default
	}
	return json.RawMessage(f.Default)
}

func number(n *float64) json.Number {
	if n == nil {
		return ""
	}
	return json.Number(strconv.FormatFloat(*n, 'f', -1, 64))
}

func length(n *float64) *uint64 {
	if n == nil {
		return nil
	}
	u := uint64(math.Max(0, *n))
	return &u
}
