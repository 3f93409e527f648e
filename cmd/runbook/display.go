package main

import (
	"time"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/terminal"
)

// display shows the states of a run as they come.
type display struct {
	v      *viewer
	screen *terminal.Screen
	last   run.Run
	known  bool
	events int // printed so far
	beats  int
	asked  time.Time // the question to people that was shown last
}

func (v *viewer) newDisplay() *display {
	d := &display{v: v}
	if v.t.Live() {
		d.screen = v.t.NewScreen()
	}
	return d
}

func (d *display) state(r run.Run) error {
	d.last, d.known = r, true
	if d.screen != nil {
		return d.draw()
	}
	return d.lines()
}

// beat turns the wheel.
func (d *display) beat() error {
	if d.screen == nil || !d.known {
		return nil
	}
	d.beats++
	return d.draw()
}

func (d *display) draw() error {
	return d.screen.Draw(append(d.v.t.Tree(d.last, time.Now(), d.beats), d.v.whatToType(d.last)...))
}

// lines prints what has happened since.
func (d *display) lines() error {
	for _, e := range d.last.Events[min(d.events, len(d.last.Events)):] {
		if err := d.v.t.Print(terminal.EventLine(e)); err != nil {
			return err
		}
	}
	d.events = len(d.last.Events)
	if a := d.last.Approval; a == nil || d.last.Phase != run.Approving || a.AskedAt.Equal(d.asked) {
		return nil
	}
	d.asked = d.last.Approval.AskedAt
	return d.v.t.Print(append(d.v.t.Consent(d.last, time.Now()), d.v.whatToType(d.last)...)...)
}

// pause lets what is drawn stand, for a question below it.
func (d *display) pause() {
	if d.screen != nil {
		d.screen.Leave()
	}
}

// end shows the whole once more, and how it ended.
func (d *display) end() error {
	if d.screen != nil {
		if err := d.screen.Clear(); err != nil {
			return err
		}
		if err := d.v.t.PrintFit(d.v.t.Tree(d.last, time.Now(), 0)...); err != nil {
			return err
		}
	}
	if d.v.json() {
		return d.v.p.json(d.last)
	}
	return d.v.t.Print(d.v.t.Result(d.last, d.v.c.command("show", d.last.ID))...)
}
