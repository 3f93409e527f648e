package actions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

type params struct {
	Name string `json:"name" doc:"Name."`
	N    int    `json:"n" default:"3" min:"1" max:"5" doc:"Count."`
}

type result struct {
	Done bool `json:"done" doc:"Whether it is done."`
}

func declaration() actions.Def[params, result] {
	return actions.Def[params, result]{
		Name: "thing.do_it", Doc: "Do it.", Risk: actions.Disruptive, Example: "{name: a}",
		Target: func(p params) string { return "thing/" + p.Name },
		Run: func(context.Context, actions.Key, actions.Target, params) (result, error) {
			return result{Done: true}, nil
		},
	}
}

func TestAnActionIsReadFromOneValue(t *testing.T) {
	b, problems := actions.Define(declaration()).Bind([]byte("name: x"))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	raw, err := b.JSON()
	if err != nil || string(raw) != `{"name":"x","n":3}` {
		t.Errorf("parameters %s, %v", raw, err)
	}
	selection, err := b.Targets(t.Context())
	if err != nil || len(selection.Targets) != 1 || selection.Targets[0] != *b.OnlyTarget() || b.OnlyTarget().ID != "thing/x" {
		t.Errorf("targets %+v, %v", selection, err)
	}
	out, err := b.Run(t.Context(), "k", selection.Targets[0])
	if err != nil || string(out) != `{"done":true}` {
		t.Errorf("result %s, %v", out, err)
	}
	if b.Limit() != time.Minute || b.Once() || b.Undoes() || b.Parallel != 1 {
		t.Errorf("defaults: limit %s, once %v, undoes %v, parallel %d", b.Limit(), b.Once(), b.Undoes(), b.Parallel)
	}
	if err := b.Undo(t.Context(), "k", selection.Targets[0]); actions.ClassOf(err) != actions.ClassPermanent {
		t.Errorf("undo of what can not be undone: %v", err)
	}
}

func TestHalfADeclarationIsNone(t *testing.T) {
	undo := func(context.Context, actions.Key, actions.Target, params) error { return nil }
	for need, breakIt := range map[string]func(*actions.Def[params, result]){
		"a name":              func(d *actions.Def[params, result]) { d.Name = "Thing.Do" },
		"a Doc":               func(d *actions.Def[params, result]) { d.Doc = "Do it" },
		"a known Risk":        func(d *actions.Def[params, result]) { d.Risk = "mild" },
		"Targets or Target":   func(d *actions.Def[params, result]) { d.Target = nil },
		"an Undo exactly":     func(d *actions.Def[params, result]) { d.Undo = undo },
		"Undo exactly":        func(d *actions.Def[params, result]) { d.Risk = actions.Reversible },
		"an Example that dec": func(d *actions.Def[params, result]) { d.Example = "{n: 9}" },
	} {
		d := declaration()
		breakIt(&d)
		if got := panicOf(func() { actions.Define(d) }); !strings.Contains(got, need) {
			t.Errorf("without %s: %q", need, got)
		}
	}
	type silent struct {
		X string `json:"x"`
	}
	if got := panicOf(func() {
		actions.Define(actions.Def[silent, result]{Name: "a.b", Doc: "A.", Risk: actions.ReadOnly, Example: "{x: y}", Target: func(silent) string { return "" }})
	}); !strings.Contains(got, "a Doc for each parameter") {
		t.Errorf("without a doc of a parameter: %q", got)
	}
}

func panicOf(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = fmt.Sprint(r)
		}
	}()
	f()
	return ""
}

func TestTheSameNameTwice(t *testing.T) {
	a := actions.Define(declaration())
	if got := panicOf(func() { actions.NewCatalog(actions.System{Actions: []actions.Action{a, a}}) }); !strings.Contains(got, "declared twice") {
		t.Errorf("got %q", got)
	}
}

func TestTheOutermostMarkOfAFailureCounts(t *testing.T) {
	plain := errors.New("no")
	for want, err := range map[actions.Class]error{
		actions.ClassTransient: fmt.Errorf("call: %w", plain),
		actions.ClassPermanent: fmt.Errorf("call: %w", actions.Permanent(plain)),
		actions.ClassAmbiguous: actions.Ambiguous(actions.Permanent(plain)),
	} {
		if got := actions.ClassOf(err); got != want || !errors.Is(err, plain) {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

type boxConfig struct {
	Label string `json:"label" doc:"Label."`
}

func boxes(opened *int, closed *int) actions.Connection[boxConfig, *string] {
	return actions.Connection[boxConfig, *string]{
		Kind: "box", Doc: "A box.",
		Open: func(_ context.Context, name string, c boxConfig) (*string, error) {
			if c.Label == "stuck" {
				return nil, errors.New("the lid is stuck")
			}
			*opened++
			text := name + "/" + c.Label
			return &text, nil
		},
		Close: func(*string) { *closed++ },
	}
}

func connections(t *testing.T, kind *actions.ConnectionKind, text string) *actions.Connections {
	t.Helper()
	nodes, problems := document.Parse("config.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems.Err())
	}
	c, problems := actions.NewConnections([]*actions.ConnectionKind{kind}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConnectionsAreOpenedOnceAndClosed(t *testing.T) {
	var opened, closed int
	kind := boxes(&opened, &closed)
	all := connections(t, kind.Erase(), "{a: {box: {label: x}}, b: {box: {label: y}}, c: {box: {label: stuck}}}")
	for range 3 {
		if got, err := kind.Get(t.Context(), all, "a"); err != nil || *got != "a/x" {
			t.Fatalf("%v, %v", got, err)
		}
	}
	all.Close()
	if opened != 1 || closed != 1 {
		t.Errorf("opened %d times, closed %d times", opened, closed)
	}
	for name, want := range map[string]string{
		"":     "several box connections are configured (a, b, c); say which",
		"zoo":  `no box connection "zoo" is configured (configured: a, b, c)`,
		"none": `no box connection "none"`,
	} {
		if _, err := kind.Get(t.Context(), all, name); err == nil || !strings.Contains(err.Error(), want) || actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
	if _, err := kind.Get(t.Context(), all, "c"); err == nil || !strings.Contains(err.Error(), `open connection "c" (box): the lid is stuck`) {
		t.Errorf("stuck: %v", err)
	}
	if _, err := kind.Get(t.Context(), nil, ""); err == nil || !strings.Contains(err.Error(), "no box connection is configured") {
		t.Errorf("without any: %v", err)
	}
	only := connections(t, kind.Erase(), "{a: {box: {label: x}}}")
	if _, err := kind.Get(t.Context(), only, ""); err != nil {
		t.Errorf("the only one: %v", err)
	}
}

func TestConnectionsCanBeOpenedAhead(t *testing.T) {
	var opened, closed int
	kind := boxes(&opened, &closed)
	all := connections(t, kind.Erase(), "{a: {box: {label: stuck}}, b: {box: {label: y}}}")
	if err := all.Open(t.Context()); err == nil || !strings.Contains(err.Error(), `open connection "a" (box): the lid is stuck`) || opened != 1 {
		t.Errorf("opened %d: %v", opened, err)
	}
	if _, err := kind.Get(t.Context(), all, "b"); err != nil || opened != 1 {
		t.Errorf("opened %d times: %v", opened, err)
	}
}

func TestWrongConnectionsAreAllReported(t *testing.T) {
	nodes, _ := document.Parse("c.yaml", []byte("a: {box: {lable: x}}\nb: {crate: {}}\nc: 1\nd: {box: {label: x}, crate: {}}\n"))
	var n int
	_, problems := actions.NewConnections([]*actions.ConnectionKind{boxes(&n, &n).Erase()}, nodes[0])
	problems.Sort()
	var lines []int
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if got := fmt.Sprint(lines); got != "[1 1 2 3 4]" {
		t.Errorf("lines %s: %v", got, problems.Err())
	}
}
