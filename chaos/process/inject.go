package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
)

// injector knows the children of this engine that hold processes.
type injector struct {
	conns *actions.Connections

	mu      sync.Mutex
	watched map[chaos.ID]*backstop.Child
}

func (i *injector) get(ctx context.Context, process string) (*client, error) {
	return connection.Get(ctx, i.conns, process)
}

// targets is empty when the process does not run.
func (i *injector) targets(ctx context.Context, process string) (chaos.Selection, error) {
	c, err := i.get(ctx, process)
	if err != nil {
		return chaos.Selection{}, err
	}
	p, err := c.now(ctx)
	switch {
	case errors.Is(err, errNone):
		return chaos.Selection{}, nil
	case err != nil:
		return chaos.Selection{}, c.failure("look for", err)
	}
	return chaos.One(fmt.Sprintf("process/%s/%d@%d", c.name, p.PID, p.Start), p.state()), nil
}

func (c *client) now(ctx context.Context) (proc, error) {
	if err := ctx.Err(); err != nil {
		return proc{}, err
	}
	pid, err := c.find(ctx)
	if err != nil {
		return proc{}, err
	}
	return identify(pid)
}

// hold starts the child that stops the processes. A note without a child is that
// of an engine that is gone: a new child takes over what it held.
func (i *injector) hold(ctx context.Context, n note, stop, rest time.Duration) error {
	c, err := i.get(ctx, n.Process)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watched[n.ID] != nil {
		return nil
	}
	if c.notes.healed(n.ID) {
		return actions.Permanent(c.failure("stop", fmt.Errorf("the injection %s was healed already", n.ID)))
	}
	there, err := c.notes.read(n.ID, heldNote)
	if err == nil {
		err = c.notes.forget(time.Now())
	}
	if err != nil {
		return c.failure("stop", err)
	}
	if there != nil {
		n = *there
	} else if n.Root, err = c.free(ctx, n.ID); err != nil {
		return c.failure("stop", err)
	}
	child, err := backstop.Start(ctx, holdMode, n.Process+"/"+string(n.ID), holdSpec{c.notes.Dir, n, stop, rest})
	if err != nil {
		return c.failure("stop", err)
	}
	i.watched[n.ID] = child
	go c.mind(child, n.ID)
	return nil
}

// free is the process, unless another injection holds it.
func (c *client) free(ctx context.Context, id chaos.ID) (proc, error) {
	p, err := c.now(ctx)
	if err != nil {
		return p, err
	}
	held, err := c.notes.held()
	if err != nil {
		return p, err
	}
	for _, n := range held {
		if n.ID != id && n.Process == c.name {
			return p, fmt.Errorf("the injection %s holds it until %s", n.ID, n.Deadline.UTC().Format(time.RFC3339))
		}
	}
	if p.state() == stopped {
		return p, actions.Permanent(fmt.Errorf("somebody has stopped process %d already", p.PID))
	}
	return p, nil
}

// mind lets the processes go when their child was lost: without a backstop there
// is no fault.
func (c *client) mind(child *backstop.Child, id chaos.ID) {
	<-child.Done()
	_ = c.release(id) // what is left, its note tells the janitor
}

// release lets go what a note says is held. It is known to be healed before:
// the child of another engine may be about to stop it again.
func (c *client) release(id chaos.ID) error {
	if err := c.notes.write(note{ID: id, Process: c.name}, healedNote); err != nil {
		return err
	}
	n, err := c.notes.read(id, heldNote)
	if err != nil || n == nil {
		return err
	}
	return (&holder{c.notes, *n}).release()
}

// recover ends the child before it lets go what is held, so that nobody stops it
// again.
func (i *injector) recover(ctx context.Context, process string, id chaos.ID) error {
	c, err := i.get(ctx, process)
	if err != nil {
		return err
	}
	i.mu.Lock()
	child := i.watched[id]
	i.mu.Unlock()
	if child != nil {
		letGo(ctx, child)
	}
	if err := c.release(id); err != nil {
		return c.failure("continue", err)
	}
	return nil
}

// letsGoWithin is how long a child may take to let go; then it goes by force, and
// its note says what it held.
const letsGoWithin = 2 * time.Second

func letGo(ctx context.Context, child *backstop.Child) {
	ctx, cancel := context.WithTimeout(ctx, letsGoWithin)
	defer cancel()
	if child.Release(ctx) != nil {
		child.Kill()
	}
}

func (i *injector) healed(ctx context.Context, process string, id chaos.ID) error {
	c, err := i.get(ctx, process)
	if err != nil {
		return err
	}
	n, err := c.notes.read(id, heldNote)
	if err != nil {
		return c.failure("read back", err)
	}
	if n != nil {
		return c.failure("read back", fmt.Errorf("%d processes are held", len(n.Held)))
	}
	p, err := c.now(ctx)
	switch {
	case errors.Is(err, errNone):
		return nil
	case err != nil:
		return c.failure("read back", err)
	case p.state() == stopped:
		return c.failure("read back", fmt.Errorf("process %d is stopped", p.PID))
	}
	return nil
}

// active reads the notes of each folder once.
func (i *injector) active(ctx context.Context) (all []chaos.Injection, err error) {
	seen := map[chaos.ID]bool{}
	for _, name := range i.conns.Names(connection.Kind) {
		c, failed := i.get(ctx, name)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		held, failed := c.notes.held()
		err = errors.Join(err, failed)
		for _, n := range held {
			if !seen[n.ID] {
				seen[n.ID] = true
				all = append(all, n.injection(name))
			}
		}
	}
	return all, err
}

// injection is placed at the connection whose folder has the note: that which it
// was made under may be configured no more.
func (n note) injection(place string) chaos.Injection {
	return chaos.Injection{
		ID: n.ID, Fault: n.Fault, Owner: n.ID.Owner(), Place: place, Deadline: n.Deadline,
		Targets: []string{fmt.Sprintf("process/%s/%d@%d", n.Process, n.Root.PID, n.Root.Start)},
	}
}

func (i *injector) healFound(ctx context.Context, found chaos.Injection) error {
	if err := i.recover(ctx, found.Place, found.ID); err != nil {
		return err
	}
	return i.healed(ctx, found.Place, found.ID)
}
