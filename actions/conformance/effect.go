package conformance

import (
	"errors"
	"fmt"
)

// repeated: the engine repeats a run whose answer it lost.
func repeated(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	if b.Risk.Writes() && tr.State == nil {
		return errors.New("the case of an action that writes needs State")
	}
	before, key := tr.state(), newKey()
	first, err := b.runAll(key, targets)
	if err != nil {
		return err
	}
	after := tr.state()
	if changed := before != after; changed != b.Risk.Writes() {
		return fmt.Errorf("%s is %s, and the state went from\n%s\nto\n%s", b.Name, b.Risk, before, after)
	}
	if b.Once() {
		return nil
	}
	second, err := b.runAll(key, targets)
	if err != nil {
		return fmt.Errorf("repeated: %w", err)
	}
	if !same(first, second) {
		return fmt.Errorf("answered %v, and repeated %v", first, second)
	}
	return tr.unchanged(after, "the repeated run")
}

func undoRestores(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	before, key := tr.state(), newKey()
	if _, err := b.runAll(key, targets); err != nil {
		return err
	}
	for _, what := range []string{"run and undo", "the repeated undo"} {
		if err := b.undoAll(key, targets); err != nil {
			return err
		}
		if err := tr.unchanged(before, what); err != nil {
			return err
		}
	}
	return nil
}

// undoOfNothing: undo is registered before the step, which may then never run,
// or another one may have run on the same target.
func undoOfNothing(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	before := tr.state()
	if err := b.undoAll(newKey(), targets); err != nil {
		return err
	}
	if err := tr.unchanged(before, "undo of a run that never was"); err != nil {
		return err
	}
	if _, err := b.runAll(newKey(), targets); err != nil {
		return err
	}
	after := tr.state()
	if err := b.undoAll(newKey(), targets); err != nil {
		return err
	}
	return tr.unchanged(after, "undo with the key of another run")
}
