package toxiproxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
)

const guardMode = "toxiproxy-guard"

// guardSpec is an injection on a server that is not ours, and that forgets
// nothing by itself.
type guardSpec struct {
	Name, URL, Proxy string
	ID               chaos.ID
	Deadline         time.Time
}

const (
	// insists is how long a guard tries to heal once it has to.
	insists  = 5 * time.Minute
	tryAgain = 500 * time.Millisecond
)

// guard is the child that ends such an injection at its deadline, or when the
// engine has died.
func guard(life backstop.Life) error {
	spec, err := decode[guardSpec](life.Spec)
	if err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	select {
	case <-life.Orphaned:
	case <-time.After(until(spec.Deadline)):
	}
	ctx, cancel := context.WithTimeout(context.Background(), insists)
	defer cancel()
	return spec.client().insist(ctx, spec.ID)
}

func (s guardSpec) client() *client {
	return &client{name: s.Name, proxy: s.Proxy, api: api{s.URL, &http.Client{}}}
}

// insist takes an injection away, again and again until it is gone.
func (c *client) insist(ctx context.Context, id chaos.ID) error {
	for {
		err := c.takeAway(ctx, id)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(tryAgain):
		case <-ctx.Done():
			return err
		}
	}
}

// guards are the children that watch over the injections on one server.
type guards struct {
	mu sync.Mutex
	of map[chaos.ID]*backstop.Child
}

func newGuards() *guards { return &guards{of: map[chaos.ID]*backstop.Child{}} }

// start comes before the injection. A guard that is lost takes the fault with
// it: without a guard there is none.
func (g *guards) start(ctx context.Context, c *client, m mark) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if child, watched := g.of[m.id]; watched {
		select {
		case <-child.Done():
			return actions.Permanent(errors.New("the guard of this injection was lost, and the fault with it"))
		default:
			return nil
		}
	}
	spec := guardSpec{Name: c.name, URL: c.api.base, Proxy: c.proxy, ID: m.id, Deadline: m.deadline}
	child, err := backstop.Start(ctx, guardMode, c.name+"/"+string(m.id), spec)
	if err != nil {
		return err
	}
	g.of[m.id] = child
	go func() {
		<-child.Done()
		ctx, cancel := context.WithTimeout(context.Background(), insists)
		defer cancel()
		_ = spec.client().insist(ctx, m.id) // what is left, the janitor finds
	}()
	return nil
}

// letGo is how long a guard may take to end that is not needed any more.
const letGo = time.Second

// release ends the guard of an injection that was read back as healed: whatever
// the guard says, or does not, there is nothing for it to do.
func (g *guards) release(ctx context.Context, id chaos.ID) {
	g.mu.Lock()
	child, watched := g.of[id]
	delete(g.of, id)
	g.mu.Unlock()
	if !watched {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, letGo)
	defer cancel()
	if child.Release(ctx) != nil {
		child.Kill()
	}
}
