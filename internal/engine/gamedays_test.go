package engine

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/run"
)

// A drill that did not hear of a run, or of a person, could give its runbook the
// credit for what those have done.
func TestADrillHearsOfWhateverRanInItsTime(t *testing.T) {
	p := newPlant(t)
	p.gate = make(chan struct{})
	open := sync.OnceFunc(func() { close(p.gate) })
	t.Cleanup(open)
	w := newWorld(t, "", p.guardedBy("one", "{}"))
	before := time.Now().Add(-time.Minute)
	id := w.fires("one")
	w.until(id, "at its call", func(run.Run) bool { changes, _ := p.seen(); return changes == 1 })
	during := time.Now()
	runs, people, err := w.e.whatRan(t.Context(), during)
	if err != nil || len(runs) != 1 || len(runs[0].Steps) != 1 || !runs[0].Steps[0].Unsure || len(people) != 0 {
		t.Fatalf("of a run that began earlier and has no answer yet it hears %+v %+v (%v)", runs, people, err)
	}
	if status, text := do(t, http.MethodPost, w.e.URL()+"/api/v1/runs/"+id+"/cancel", `{"reason": "not now"}`); status != http.StatusAccepted {
		t.Fatalf("answered %d: %s", status, text)
	}
	open()
	w.ended(id)
	if runs, people, err = w.e.whatRan(t.Context(), before); err != nil || len(runs) != 1 || len(people) != 1 {
		t.Errorf("of a run that a person cancelled it hears %+v %+v (%v)", runs, people, err)
	}
	if runs, people, err = w.e.whatRan(t.Context(), time.Now().Add(time.Second)); err != nil || len(runs)+len(people) != 0 {
		t.Errorf("of a run that was over before it hears %+v %+v (%v)", runs, people, err)
	}
}

// A janitor that is blind says so once, and once when it is not any more.
func TestABlindJanitorSaysSo(t *testing.T) {
	var said bytes.Buffer
	var answer error
	e := &Engine{log: slog.New(slog.NewTextHandler(&said, nil)), faults: chaos.NewCatalog(chaos.Injector{
		Name: "board", Active: func(context.Context) ([]chaos.Injection, error) { return nil, answer },
		Heal: func(context.Context, chaos.Injection) error { return nil },
	})}
	sighted := true
	for _, answer = range []error{nil, errors.New("no route"), errors.New("no route"), nil, nil} {
		sighted = e.sweep(t.Context(), sighted)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=WARN") || !strings.Contains(lines[0], "board: no route") || !strings.Contains(lines[1], "again") {
		t.Errorf("it says\n%s", said.String())
	}
}
