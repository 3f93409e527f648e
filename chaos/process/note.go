package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

// note says which processes a fault holds. It is on disk before the first signal
// is sent and until the last one is undone, so that whoever comes after an
// engine that died together with its backstop can put things right.
type note struct {
	ID       chaos.ID  `json:"id"`
	Fault    string    `json:"fault"`
	Process  string    `json:"process"` // the connection
	Deadline time.Time `json:"deadline"`
	Root     proc      `json:"root"`
	Tree     bool      `json:"tree"`
	// Held are those that were or are about to be stopped.
	Held []proc `json:"held,omitempty"`
}

// notes is a folder of them.
type notes struct{ Dir string }

const (
	heldNote   = ".held.json"
	killedNote = ".killed.json"
	healedNote = ".healed.json"
	// forgets is how long it is known that something was killed or healed: longer
	// than anybody repeats a call.
	forgets = 24 * time.Hour
)

func (ns notes) path(id chaos.ID, kind string) string { return filepath.Join(ns.Dir, string(id)+kind) }

// read gives nil when there is none.
func (ns notes) read(id chaos.ID, kind string) (*note, error) {
	text, err := os.ReadFile(ns.path(id, kind))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var n note
	if err := json.Unmarshal(text, &n); err != nil {
		return nil, fmt.Errorf("the note %s is damaged: %w", ns.path(id, kind), err)
	}
	return &n, nil
}

// write is done when the note is there as a whole. The engine and its backstop
// may write the same one at a time, so each writes beside it under a name of its
// own.
func (ns notes) write(n note, kind string) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	next, err := os.CreateTemp(ns.Dir, string(n.ID)+kind+".*.next")
	if err != nil {
		return err
	}
	_, err = next.Write(text)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), ns.path(n.ID, kind))
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}

func (ns notes) remove(id chaos.ID, kind string) error {
	if err := os.Remove(ns.path(id, kind)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// held are the notes of processes that are held. A damaged one hides no other.
func (ns notes) held() (all []note, err error) {
	files, err := os.ReadDir(ns.Dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		id, ours := strings.CutSuffix(f.Name(), heldNote)
		if !ours {
			continue
		}
		n, failed := ns.read(chaos.ID(id), heldNote)
		err = errors.Join(err, failed)
		if n != nil {
			all = append(all, *n)
		}
	}
	return all, err
}

// healed reports that the injection must not hold anything any more.
func (ns notes) healed(id chaos.ID) bool {
	_, err := os.Stat(ns.path(id, healedNote))
	return err == nil
}

// forget removes old notes of what is over.
func (ns notes) forget(now time.Time) (err error) {
	for _, kind := range []string{killedNote, healedNote} {
		files, failed := filepath.Glob(filepath.Join(ns.Dir, "*"+kind))
		err = errors.Join(err, failed)
		for _, file := range files {
			if info, failed := os.Stat(file); failed == nil && now.Sub(info.ModTime()) > forgets {
				err = errors.Join(err, os.Remove(file))
			}
		}
	}
	return err
}
