// Package shape reads the tagged structs in which documents, actions, faults
// and the engine's config are declared. One declaration gives the decoder, the
// JSON Schema, the reference and the types of conditions.
//
// Tags of a field:
//
//	json:"older_than"    its name (a field without one, or "-", is not part of the document)
//	doc:"..."            meaning, one sentence
//	default:"30s"        value when absent: text as it is, anything else as JSON
//	optional:"true"      may be absent; without this and without a default it is required
//	enum:"a|b"           the only values
//	min:"1" max:"20"     bounds, inclusive; durations as text; of a string or list, its length
//	pattern:"^[a-z]+$"   what a string matches (RE2)
//	connection:"postgres" names a connection of that kind in the engine's config
//	example:"..."        for the reference
package shape

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
)

// Kind is what a value is in a document.
type Kind string

// The kinds.
const (
	String   Kind = "string"
	Int      Kind = "integer"
	Float    Kind = "number"
	Bool     Kind = "boolean"
	Duration Kind = "duration" // 30s, 5m, 1h30m: Prometheus' syntax
	Time     Kind = "time"     // RFC 3339
	List     Kind = "list"
	Map      Kind = "map" // string keys
	Struct   Kind = "object"
	Any      Kind = "any"
)

// Type is the shape of a value.
type Type struct {
	Kind   Kind
	Elem   *Type // of List and Map
	Fields []Field
	Go     reflect.Type
}

// Field is one key of a Struct.
type Field struct {
	Name       string
	Doc        string
	Example    string
	Type       *Type
	Required   bool
	Default    string
	HasDefault bool
	Enum       []string
	Min, Max   *float64 // durations in seconds
	Pattern    *regexp.Regexp
	Connection string
	// OmitsZero says that JSON leaves the field out when it is zero, so that an
	// absent one is zero and not unknown.
	OmitsZero bool
	Index     []int // as reflect.Value.FieldByIndex takes it
}

var cache sync.Map

// Of is the shape of T. It panics when a tag is malformed or a field has a type
// that no document can hold: a mistake in a declaration, found by any test that
// loads it. A type that contains itself is one of these.
func Of(t reflect.Type) *Type { return of(t, nil) }

func of(t reflect.Type, within []reflect.Type) *Type {
	if known, ok := cache.Load(t); ok {
		return known.(*Type)
	}
	if slices.Contains(within, t) {
		panic(fmt.Sprintf("shape: %s contains itself", t))
	}
	shape := &Type{Go: t}
	shape.fill(t, append(within, t))
	first, _ := cache.LoadOrStore(t, shape)
	return first.(*Type)
}

// For is Of for a static type.
func For[T any]() *Type { return Of(reflect.TypeFor[T]()) }

// Field finds a field by name.
func (t *Type) Field(name string) (Field, bool) {
	for _, f := range t.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// Names are the field names, in the order of the declaration.
func (t *Type) Names() []string {
	names := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		names[i] = f.Name
	}
	return names
}

// String is the type as the reference shows it.
func (t *Type) String() string {
	switch t.Kind {
	case List:
		return "list of " + t.Elem.String()
	case Map:
		return "map of " + t.Elem.String()
	default:
		return string(t.Kind)
	}
}

var (
	durationType = reflect.TypeFor[model.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
	plainType    = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func (t *Type) fill(goType reflect.Type, within []reflect.Type) {
	if kind, ok := scalarKind(goType); ok {
		t.Kind = kind
		return
	}
	switch goType.Kind() {
	case reflect.Pointer:
		*t = *of(goType.Elem(), within)
		t.Go = goType
	case reflect.Slice:
		t.Kind, t.Elem = List, of(goType.Elem(), within)
	case reflect.Map:
		if goType.Key().Kind() != reflect.String {
			panic(fmt.Sprintf("shape: the keys of %s are no strings", goType))
		}
		t.Kind, t.Elem = Map, of(goType.Elem(), within)
	case reflect.Struct:
		t.Kind = Struct
		t.fillFields(goType, within)
	default:
		panic(fmt.Sprintf("shape: %s can not be part of a document", goType))
	}
}

func scalarKind(goType reflect.Type) (Kind, bool) {
	switch {
	case goType == plainType:
		panic("shape: time.Duration has no text form; use model.Duration")
	case goType == durationType:
		return Duration, true
	case goType == timeType:
		return Time, true
	case goType == rawType:
		return Any, true
	case reflect.PointerTo(goType).Implements(textType):
		return String, true
	}
	switch goType.Kind() {
	case reflect.String:
		return String, true
	case reflect.Int, reflect.Int32, reflect.Int64:
		return Int, true
	case reflect.Float64:
		return Float, true
	case reflect.Bool:
		return Bool, true
	case reflect.Interface:
		return Any, true
	}
	return "", false
}

func (t *Type) fillFields(goType reflect.Type, within []reflect.Type) {
	for i := range goType.NumField() {
		sf := goType.Field(i)
		name, options, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct {
			t.embed(of(sf.Type, within), i)
			continue
		}
		if name == "" || name == "-" || !sf.IsExported() {
			continue
		}
		f := newField(goType, sf, of(sf.Type, within), name, i)
		f.OmitsZero = strings.Contains(options, "omit") && sf.Type.Kind() != reflect.Pointer
		t.Fields = append(t.Fields, f)
	}
}

// embed takes in the keys of an embedded struct, as encoding/json does.
func (t *Type) embed(inner *Type, index int) {
	for _, f := range inner.Fields {
		f.Index = append([]int{index}, f.Index...)
		t.Fields = append(t.Fields, f)
	}
}

func newField(owner reflect.Type, sf reflect.StructField, t *Type, name string, index int) Field {
	f := Field{
		Name:       name,
		Doc:        sf.Tag.Get("doc"),
		Example:    sf.Tag.Get("example"),
		Type:       t,
		Connection: sf.Tag.Get("connection"),
		Index:      []int{index},
	}
	f.Default, f.HasDefault = sf.Tag.Lookup("default")
	if f.HasDefault && !f.defaultIsText() && !json.Valid([]byte(f.Default)) {
		panic(fmt.Sprintf("shape: %s.%s: tag default: %s is no JSON", owner, sf.Name, f.Default))
	}
	f.Required = !f.HasDefault && sf.Tag.Get("optional") != "true"
	if enum := sf.Tag.Get("enum"); enum != "" {
		f.Enum = strings.Split(enum, "|")
	}
	f.Min = bound(owner, sf, "min", f.Type.Kind)
	f.Max = bound(owner, sf, "max", f.Type.Kind)
	if pattern := sf.Tag.Get("pattern"); pattern != "" {
		f.Pattern = regexp.MustCompile(pattern)
	}
	return f
}

func (f Field) defaultIsText() bool {
	return f.Type.Kind == String || f.Type.Kind == Duration || f.Type.Kind == Time
}

func bound(owner reflect.Type, sf reflect.StructField, tag string, kind Kind) *float64 {
	text, ok := sf.Tag.Lookup(tag)
	if !ok {
		return nil
	}
	n, err := Number(text, kind)
	if err != nil {
		panic(fmt.Sprintf("shape: %s.%s: tag %s: %v", owner, sf.Name, tag, err))
	}
	return &n
}

// Number reads a bound: seconds of a duration, else the number itself.
func Number(text string, kind Kind) (float64, error) {
	if kind == Duration {
		d, err := model.ParseDuration(text)
		return time.Duration(d).Seconds(), err
	}
	return strconv.ParseFloat(text, 64)
}
