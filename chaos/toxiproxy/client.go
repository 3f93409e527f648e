package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// client is one proxy. It carries one injection at a time, so that healing it by
// force ends no other.
type client struct {
	name   string // of the connection
	proxy  string // its name on the server
	api    api
	keeper *keeper // of the engine's own proxy, else nil
	guards *guards // of a proxy on another's server, else nil
}

func (c *client) failure(what string, err error) error {
	err = fmt.Errorf("%s toxiproxy %q: %w", what, c.name, err)
	if errors.Is(err, errNotThere) {
		return actions.Permanent(fmt.Errorf("%w; the server has no proxy %q", err, c.proxy))
	}
	return err
}

func (c *client) targets(ctx context.Context) (chaos.Selection, error) {
	s, err := c.api.show(ctx, c.proxy)
	if err != nil {
		return chaos.Selection{}, c.failure("look at", err)
	}
	return chaos.One("proxy/"+c.name, s.Listen+" to "+s.Upstream), nil
}

func (c *client) inject(ctx context.Context, m mark, d disturbance) error {
	s, err := c.api.show(ctx, c.proxy)
	if err != nil {
		return c.failure("inject into", err)
	}
	if err := c.free(s, m.id); err != nil {
		return err
	}
	if c.guards != nil {
		if err := c.guards.start(ctx, c, m); err != nil {
			return c.failure("inject into", err)
		}
	}
	if err := c.disturb(ctx, s, m, d); err != nil {
		return c.giveUp(ctx, m.id, c.failure("inject into", err))
	}
	return nil
}

// free reports why a proxy can not be injected into now.
func (c *client) free(s proxyState, id chaos.ID) error {
	for _, t := range s.Toxics {
		other, ours := readMark(t.Name)
		switch {
		case !ours:
			return c.failure("inject into", actions.Permanent(fmt.Errorf("somebody else's toxic %s is on it; take it away first", t.Name)))
		case other.id != id:
			return c.failure("inject into", fmt.Errorf("the injection %s is on it until %s", other.id, other.deadline.UTC().Format(time.RFC3339)))
		}
	}
	if !s.Enabled && len(s.Toxics) == 0 {
		return c.failure("inject into", actions.Permanent(errors.New("somebody has disabled it; enable it first")))
	}
	return nil
}

// disturb adds what is not there yet, and reads back that all of it is.
func (c *client) disturb(ctx context.Context, s proxyState, m mark, d disturbance) error {
	for n, t := range d.toxics {
		d.toxics[n].Name = m.name(t.Stream)
		if s.has(d.toxics[n]) {
			continue
		}
		if err := c.api.add(ctx, c.proxy, d.toxics[n]); err != nil {
			return err
		}
	}
	if d.down && s.Enabled {
		if err := c.api.enable(ctx, c.proxy, s, false); err != nil {
			return err
		}
	}
	now, err := c.api.show(ctx, c.proxy)
	if err != nil {
		return err
	}
	for _, t := range d.toxics {
		if !now.has(t) {
			return fmt.Errorf("the toxic %s was accepted, and is not there as it was given", t.Name)
		}
	}
	if now.Enabled == d.down {
		return fmt.Errorf("the proxy is enabled: %t", now.Enabled)
	}
	return nil
}

// giveUp leaves no part of a fault behind that could not be brought about. An
// engine's own proxy that hangs is started anew: nothing else reaches it.
func (c *client) giveUp(ctx context.Context, id chaos.ID, err error) error {
	return errors.Join(err, c.recover(context.WithoutCancel(ctx), id))
}

func (s proxyState) has(t toxic) bool {
	return slices.ContainsFunc(s.Toxics, func(other toxic) bool {
		return other.Name == t.Name && other.Type == t.Type && other.Stream == t.Stream &&
			float32(other.Toxicity) == float32(t.Toxicity) && maps.Equal(other.Attributes, t.Attributes)
	})
}

// marks are ours among the toxics; of one injection, unless id is empty.
func (s proxyState) marks(id chaos.ID) (names []string, found []mark) {
	for _, t := range s.Toxics {
		if m, ours := readMark(t.Name); ours && (id == "" || m.id == id) {
			names, found = append(names, t.Name), append(found, m)
		}
	}
	return names, found
}

func (c *client) healed(ctx context.Context, id chaos.ID) error {
	s, err := c.api.show(ctx, c.proxy)
	switch {
	case errors.Is(err, errNotThere):
		return c.failure("read back", err)
	case err != nil:
		return c.failure("read back", fmt.Errorf("%w: %w", chaos.ErrHolderSilent, err))
	}
	if names, _ := s.marks(id); len(names) > 0 {
		return c.failure("read back", fmt.Errorf("%v is still there", names))
	}
	if !s.Enabled {
		return c.failure("read back", errors.New("it is disabled"))
	}
	return nil
}
