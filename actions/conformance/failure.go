package conformance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

const (
	// promptly is how soon an action must have stopped. It is generous, so that a
	// busy machine does not fail the suite.
	promptly = 5 * time.Second
	// patience is how long the caller of a system that does not answer waits.
	patience = 300 * time.Millisecond
)

func withoutConnection(tr *trial) error {
	b, problems := tr.action(nil).Bind([]byte(tr.Params))
	if err := problems.Err(); err != nil {
		return err
	}
	_, err := (&bound{b, tr}).Run(tr.t.Context(), newKey(), actions.Target{ID: "any/thing"})
	if err == nil || actions.ClassOf(err) != actions.ClassPermanent {
		return fmt.Errorf("without its connection it gives no permanent error, but %w", orNil(err))
	}
	return nil
}

func cancelledBefore(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	before := tr.state()
	ctx, cancel := context.WithCancel(tr.t.Context())
	cancel()
	for what, err := range b.tryAll(ctx, targets[0]) {
		if !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s in a cancelled context gives %w", what, orNil(err))
		}
	}
	return tr.unchanged(before, "a call in a cancelled context")
}

// tryAll calls everything that may block, in a context that ends. Only errors
// matter.
func (b *bound) tryAll(ctx context.Context, target actions.Target) iter.Seq2[string, error] {
	run := func() error { _, err := b.Run(ctx, newKey(), target); return err }
	undo := func() error { return b.Undo(ctx, newKey(), target) }
	choose := func() error { _, err := b.Targets(ctx); return err }
	return func(yield func(string, error) bool) {
		if b.Selects && !yield("Targets", ends(ctx, choose)) {
			return
		}
		if b.Undoes() && !yield("Undo", ends(ctx, undo)) {
			return
		}
		yield("Run", ends(ctx, run))
	}
}

// ends gives the error of a call, or says that it outlives its context.
func ends(ctx context.Context, call func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(promptly):
		return errEndless
	}
}

var errEndless = fmt.Errorf("still running %s after its context ended", promptly)

func cancelledDuring(tr *trial) error {
	b, err := tr.at(tr.Address, tr.Slow)
	if err != nil {
		return err
	}
	s, err := b.Targets(tr.t.Context())
	if err != nil || len(s.Targets) == 0 {
		return fmt.Errorf("params Slow select nothing: %w", orNil(err))
	}
	ctx, cancel := context.WithCancel(tr.t.Context())
	defer time.AfterFunc(patience, cancel).Stop()
	err = ends(ctx, func() error { _, err := b.Run(ctx, newKey(), s.Targets[0]); return err })
	switch {
	case ctx.Err() == nil:
		return fmt.Errorf("a run with Slow ended before it was cancelled: %w", orNil(err))
	case !errors.Is(err, context.Canceled):
		return fmt.Errorf("cancelled, it gives %w", orNil(err))
	}
	return nil
}

func unreachable(tr *trial) error {
	address, err := closedAddress()
	if err != nil {
		return err
	}
	return tr.failsAt(address, func(err error) bool { return actions.ClassOf(err) == actions.ClassTransient })
}

func unanswered(tr *trial) error {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer silent.Close()
	return tr.failsAt(silent.Addr().String(), func(err error) bool { return actions.ClassOf(err) != actions.ClassPermanent })
}

// failsAt calls the action over a system that does not work, on a target of the
// one that does.
func (tr *trial) failsAt(address string, classified func(error) bool) error {
	_, targets, err := tr.selected()
	if err != nil {
		return err
	}
	b, err := tr.at(address, tr.Params)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(tr.t.Context(), patience)
	defer cancel()
	name := tr.opened[0].Names(tr.System(nil).Connection.Kind)[0]
	for what, err := range b.tryAll(ctx, targets[0]) {
		switch {
		case errors.Is(err, errEndless):
			return fmt.Errorf("%s is %w", what, err)
		case err == nil:
			return fmt.Errorf("%s works without a system", what)
		case !strings.Contains(err.Error(), name):
			return fmt.Errorf("the error of %s does not name the connection %s: %w", what, name, err)
		case !classified(err):
			return fmt.Errorf("the error of %s is wrongly %s: %w", what, actions.ClassOf(err), err)
		}
	}
	return nil
}

// closedAddress is one where nobody listens.
func closedAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func orNil(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
