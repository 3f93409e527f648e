package shape_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/shape"
)

type inner struct {
	Every model.Duration `json:"every" default:"5s" min:"1s" max:"1m" doc:"Pause."`
}

type sample struct {
	Name    string            `json:"name" pattern:"^[a-z]+$" doc:"Name of it."`
	Count   int               `json:"count" min:"1" max:"20" default:"3"`
	Mode    string            `json:"mode" enum:"on|off" optional:"true"`
	Ratio   float64           `json:"ratio,omitempty" optional:"true"`
	Tags    []string          `json:"tags" enum:"a|b" max:"2" default:"[\"a\", \"b\"]"`
	Attrs   map[string]string `json:"attrs" optional:"true" max:"1"`
	Inner   *inner            `json:"inner,omitempty" optional:"true"`
	At      time.Time         `json:"at" optional:"true"`
	Address netip.Addr        `json:"address" optional:"true"`
	Raw     json.RawMessage   `json:"raw" optional:"true"`
	Free    any               `json:"free" optional:"true"`
	Loud    bool              `json:"loud" default:"false"`
	Hidden  string            `json:"-"`
}

func field(t *testing.T, name string) shape.Field {
	t.Helper()
	f, ok := shape.For[sample]().Field(name)
	if !ok {
		t.Fatalf("no field %q in %v", name, shape.For[sample]().Names())
	}
	return f
}

func TestOfReadsTheDeclaration(t *testing.T) {
	want := map[string]string{
		"name": "string", "count": "integer", "mode": "string", "ratio": "number", "tags": "list of string",
		"attrs": "map of string", "inner": "object", "at": "time", "address": "string", "raw": "any", "free": "any", "loud": "boolean",
	}
	got := map[string]string{}
	for _, f := range shape.For[sample]().Fields {
		got[f.Name] = f.Type.String()
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if f := field(t, "name"); !f.Required || f.Doc != "Name of it." || !f.Pattern.MatchString("abc") {
		t.Errorf("name is %+v", f)
	}
	if f := field(t, "count"); f.Required || *f.Min != 1 || *f.Max != 20 || f.Default != "3" {
		t.Errorf("count is %+v", f)
	}
	if every, _ := field(t, "inner").Type.Field("every"); *every.Min != 1 || *every.Max != 60 {
		t.Errorf("every is bounded by %v and %v seconds", *every.Min, *every.Max)
	}
	if field(t, "inner").OmitsZero || !field(t, "ratio").OmitsZero || field(t, "mode").OmitsZero {
		t.Error("OmitsZero must be true of ratio alone")
	}
}

type chain struct {
	Next *chain `json:"next"`
}

func TestOfPanicsOnAMistake(t *testing.T) {
	for name, mistake := range map[string]any{
		"no text form": struct {
			D time.Duration `json:"d"`
		}{},
		"contains itself": chain{},
		"can not be part of": struct {
			F func() `json:"f"`
		}{},
		"are no strings": struct {
			M map[int]string `json:"m"`
		}{},
		"tag min": struct {
			N int `json:"n" min:"few"`
		}{},
		"tag max": struct {
			D model.Duration `json:"d" max:"5 minutes"`
		}{},
		"is no JSON": struct {
			L []string `json:"l" default:"[a]"`
		}{},
		"error parsing": struct {
			S string `json:"s" pattern:"("`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r, _ := recover().(string); !strings.Contains(r, name) {
					t.Errorf("panicked with %q", r)
				}
			}()
			shape.Of(reflect.TypeOf(mistake))
		})
	}
}

// A type is complete before another goroutine can see it. Run it with -race.
func TestOfIsSafeForConcurrentUse(t *testing.T) {
	type fresh struct {
		A sample   `json:"a"`
		B []sample `json:"b"`
		C string   `json:"c"`
	}
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			if n := len(shape.For[fresh]().Fields); n != 3 {
				t.Errorf("saw %d fields of 3", n)
			}
		})
	}
	wait.Wait()
}
