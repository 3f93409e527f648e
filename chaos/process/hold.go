package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/chaos/backstop"
)

const (
	holdMode    = "process"
	stopsWithin = 5 * time.Second
)

// holdSpec is what a child holds: all the time, or in a rhythm.
type holdSpec struct {
	Dir  string
	Note note
	Stop time.Duration // of a pause: how long each one is; else 0
	Rest time.Duration // and how long the process runs in between
}

// hold is the child. It stops the processes, and lets them go at the deadline or
// when the engine has died.
func hold(life backstop.Life) error {
	var spec holdSpec
	if err := json.Unmarshal(life.Spec, &spec); err != nil {
		return err
	}
	h := &holder{notes{spec.Dir}, spec.Note}
	err := h.stop()
	if err == nil {
		err = life.Ready()
	}
	if err != nil {
		return errors.Join(err, h.release())
	}
	end := time.NewTimer(time.Until(spec.Note.Deadline))
	defer end.Stop()
	return errors.Join(h.keep(spec, life.Orphaned, end.C), h.release())
}

// holder stops and continues the processes of a note.
type holder struct {
	notes notes
	note  note
}

// keep returns when the hold is over.
func (h *holder) keep(spec holdSpec, orphaned <-chan struct{}, end <-chan time.Time) error {
	for {
		var next <-chan time.Time // never, unless in a rhythm
		if spec.Stop > 0 {
			next = time.After(spec.Stop)
		}
		select {
		case <-orphaned:
			return nil
		case <-end:
			return nil
		case <-next:
		}
		if err := h.resume(); err != nil {
			return err
		}
		select {
		case <-orphaned:
			return nil
		case <-end:
			return nil
		case <-time.After(spec.Rest):
		}
		if err := h.stop(); err != nil {
			return err
		}
		// Another engine may have healed it meanwhile: then what was stopped just
		// now is let go at once.
		if h.notes.healed(spec.Note.ID) {
			return nil
		}
	}
}

// rounds bounds the search for processes that were started while others were
// being stopped.
const rounds = 20

// stop stops the process and then those below it, until there are no new ones:
// what is stopped starts none.
func (h *holder) stop() error {
	if h.note.Root.state() == "" {
		return errNone
	}
	next := []proc{h.note.Root}
	known := map[proc]bool{}
	for range rounds {
		var fresh []proc
		for _, p := range next {
			if !known[p] {
				known[p] = true
				fresh = append(fresh, p)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		if err := h.stopNow(fresh); err != nil {
			return err
		}
		if !h.note.Tree {
			return nil
		}
		var err error
		if next, err = descendants([]proc{h.note.Root}); err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d starts others faster than they can be stopped", h.note.Root.PID)
}

// stopNow writes down what it is about to do.
func (h *holder) stopNow(fresh []proc) error {
	h.note.add(fresh)
	if err := h.notes.write(h.note, heldNote); err != nil {
		return err
	}
	for _, p := range fresh {
		if err := p.signal(signalStop); err != nil {
			return err
		}
	}
	return awaitStop(fresh)
}

// awaitStop waits for those that are within a call of the system that can not be
// interrupted.
func awaitStop(all []proc) error {
	deadline := time.Now().Add(stopsWithin)
	for _, p := range all {
		for state := p.state(); state != stopped && state != ""; state = p.state() {
			if time.Now().After(deadline) {
				return fmt.Errorf("process %d does not stop; it is in the state %s", p.PID, state)
			}
			time.Sleep(lookEvery)
		}
	}
	return nil
}

func (n *note) add(fresh []proc) {
	known := map[proc]bool{}
	for _, p := range n.Held {
		known[p] = true
	}
	for _, p := range fresh {
		if !known[p] {
			n.Held = append(n.Held, p)
		}
	}
}

// resume continues all that is held, the last one first.
func (h *holder) resume() error {
	var failed []error
	for n := len(h.note.Held) - 1; n >= 0; n-- {
		failed = append(failed, h.note.Held[n].signal(signalContinue))
	}
	return errors.Join(failed...)
}

// release also takes the note away, when nothing is held any more.
func (h *holder) release() error {
	if err := h.resume(); err != nil {
		return err
	}
	return h.notes.remove(h.note.ID, heldNote)
}
