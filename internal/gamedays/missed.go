package gamedays

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Missed is runs of a game day that did not happen when they should have.
type Missed struct {
	Gameday string `json:"gameday"`
	Late    int    `json:"late"`    // the engine was not there in time
	Overlap int    `json:"overlap"` // the one before was still under way
}

func (m Missed) String() string {
	return fmt.Sprintf("%d because the engine was not there in time, %d because the one before was still under way", m.Late, m.Overlap)
}

// told remembers what was reported, in a file: a run that was missed while the
// engine was down is found when it is back, and is reported once.
type told struct {
	file  string // "" to remember only as long as the process lives
	known map[string]Missed
}

// tell reports what is new. What could not be reported or kept is new again.
func (t *told) tell(now Schedule, report func(Missed) error) error {
	if err := t.load(); err != nil {
		return err
	}
	before := t.known[now.Gameday]
	if now.Late < before.Late || now.Overlap < before.Overlap {
		before = Missed{} // the schedule was made anew and counts from zero
	}
	fresh := Missed{now.Gameday, now.Late - before.Late, now.Overlap - before.Overlap}
	if fresh.Late+fresh.Overlap > 0 {
		if err := report(fresh); err != nil {
			return fmt.Errorf("report missed runs of %s: %w", now.Gameday, err)
		}
	}
	counted := Missed{now.Gameday, now.Late, now.Overlap}
	if counted == t.known[now.Gameday] {
		return nil
	}
	t.known[now.Gameday] = counted
	return t.save()
}

func (t *told) load() error {
	if t.known != nil {
		return nil
	}
	known := map[string]Missed{}
	text, err := os.ReadFile(t.file)
	switch {
	case t.file == "", errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read which missed runs were reported: %w", err)
	default:
		if err := json.Unmarshal(text, &known); err != nil {
			return fmt.Errorf("read which missed runs were reported: %s: %w; delete the file to have all reported again", t.file, err)
		}
	}
	t.known = known
	return nil
}

func (t *told) save() error {
	if t.file == "" {
		return nil
	}
	text, err := json.Marshal(t.known)
	if err == nil {
		err = os.WriteFile(t.file+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(t.file+".new", t.file)
	}
	if err != nil {
		return fmt.Errorf("keep which missed runs were reported: %w", err)
	}
	return nil
}
