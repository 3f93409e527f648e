package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// promote: each step leaves servers that the next attempt can go on from, and
// the one that matters, read_only off, is the last.
func (t *topology) promote(ctx context.Context) (*member, error) {
	for _, m := range t.replicas {
		if err := m.eligible(t); err != nil {
			return nil, err
		}
	}
	if err := t.dead(ctx); err != nil {
		return nil, err
	}
	for _, m := range t.replicas { // from here nobody receives more
		if m.source == nil {
			continue
		}
		t.stopped = append(t.stopped, m)
		if _, err := m.control.ExecContext(ctx, "STOP REPLICA IO_THREAD"); err != nil {
			return nil, fmt.Errorf("have replica %q receive no more: %w", m.name, err)
		}
	}
	if err := t.refresh(ctx); err != nil {
		return nil, err
	}
	chosen, err := t.mostAdvanced()
	if err != nil {
		return nil, err
	}
	if err := chosen.applyAll(ctx, time.Duration(t.Within)); err != nil {
		return nil, err
	}
	if err := t.lookAgain(ctx); err != nil {
		return nil, err
	}
	for _, statement := range []string{"STOP REPLICA", "RESET REPLICA ALL", "SET GLOBAL read_only = 0"} {
		if _, err := chosen.control.ExecContext(ctx, statement); err != nil {
			return nil, fmt.Errorf("promote %q: %w", chosen.name, err)
		}
	}
	return chosen, nil
}

// eligible: a replica that could not be promoted, or that would spread what it
// should not have, stops the failover, whoever is chosen in the end.
func (m *member) eligible(t *topology) error {
	var why string
	switch own := errant(m.status, t.others(m)); {
	case m.source == nil:
		// An attempt that was cut off just before it made it writable.
		if len(m.applied) == 0 {
			why = "copies nobody and never has"
		}
	case len(own) > 0:
		why = fmt.Sprintf("wrote transactions of its own: %s; copy it anew, or bring them to the others by hand", own)
	case !m.logs:
		why = "has no binary log, so that nobody could copy it"
	case m.source.sql != "Yes":
		why = "does not apply what it receives: " + m.source.error
	}
	if why == "" {
		return nil
	}
	return actions.Permanent(fmt.Errorf("replica %q %s", m.name, why))
}

func (t *topology) others(m *member) (all []status) {
	for _, other := range t.replicas {
		if other != m {
			all = append(all, other.status)
		}
	}
	return all
}

// dead: the engine gets no answer for some heartbeats, and no replica receives.
func (t *topology) dead(ctx context.Context) error {
	for range t.Misses {
		if err := t.lookAgain(ctx); err != nil {
			return err
		}
	}
	if err := t.refresh(ctx); err != nil {
		return err
	}
	for _, m := range t.replicas {
		if m.source != nil && m.source.io == "Yes" {
			return fmt.Errorf("%w: %q", errHeard, m.name)
		}
	}
	return nil
}

// Signs of life.
var (
	errAlive = errors.New("the old primary answers; it is not dead")
	errHeard = errors.New("a replica hears from the primary, or has not missed it yet; set slave_net_timeout to a few seconds")
)

// lookAgain asks the old primary on a new connection for one heartbeat. One that
// refuses us, because it is full for example, lives.
func (t *topology) lookAgain(ctx context.Context) error {
	began := time.Now()
	beat, cancel := context.WithTimeout(ctx, time.Duration(t.Heartbeat))
	defer cancel()
	err := t.old.askAnew(beat)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil || isAnswer(err):
		return errAlive
	}
	select { // one that is refused at once is no heartbeat yet
	case <-time.After(time.Duration(t.Heartbeat) - time.Since(began)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mostAdvanced is the one that received all that any of them did.
func (t *topology) mostAdvanced() (*member, error) {
	i := slices.IndexFunc(t.replicas, func(m *member) bool {
		return !slices.ContainsFunc(t.replicas, func(o *member) bool { return !m.reached().covers(o.reached()) })
	})
	if i < 0 {
		return nil, actions.Permanent(fmt.Errorf("no replica has all that the others have: they are at %s", t.positions()))
	}
	return t.replicas[i], nil
}

// reached is what a replica has, applied or not.
func (s status) reached() gtids {
	all := slices.Clone(s.applied)
	if s.source != nil {
		all = append(all, s.source.received...)
	}
	return all
}

func (t *topology) positions() (text string) {
	for _, m := range t.replicas {
		text += fmt.Sprintf("%s %s; ", m.name, m.reached())
	}
	return text
}

func (m *member) applyAll(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not after %s", within))
	defer cancel()
	received := m.reached()
	err := poll(ctx, func() error {
		now, err := m.client.look(ctx)
		if err == nil && !now.applied.covers(received) {
			err = fmt.Errorf("it is at %s, and received %s", now.applied, received)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("have replica %q apply what it received: %w", m.name, err)
	}
	return nil
}
