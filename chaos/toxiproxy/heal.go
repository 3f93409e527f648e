package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

// politely bounds the attempt to take toxics away through the API, which can
// hang for ever while data is in flight.
const politely = 300 * time.Millisecond

// recover takes an injection away. The engine's own proxy is killed and started
// anew when it does not obey at once.
func (c *client) recover(ctx context.Context, id chaos.ID) error {
	if c.keeper == nil {
		if err := c.takeAway(ctx, id); err != nil {
			return c.failure("heal", fmt.Errorf("%w; if this goes on, restart the toxiproxy-server: it forgets all toxics", err))
		}
		c.guards.release(ctx, id)
		return nil
	}
	polite, cancel := context.WithTimeout(ctx, politely)
	defer cancel()
	if c.takeAway(polite, id) == nil {
		return nil
	}
	if err := c.keeper.renew(ctx); err != nil {
		return c.failure("heal", err)
	}
	return nil
}

// takeAway enables the proxy before it takes away the marks, so that what is
// left by a failure can still be recognised as ours.
func (c *client) takeAway(ctx context.Context, id chaos.ID) error {
	s, err := c.api.show(ctx, c.proxy)
	if err != nil {
		return err
	}
	names, _ := s.marks(id)
	if len(names) == 0 {
		return nil
	}
	if !s.Enabled {
		if err := c.api.enable(ctx, c.proxy, s, true); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := c.api.remove(ctx, c.proxy, name); err != nil {
			return err
		}
	}
	return c.healed(ctx, id)
}

func (c *client) active(ctx context.Context) ([]chaos.Injection, error) {
	marks, err := c.allMarks(ctx)
	if err != nil {
		return nil, c.failure("look at", err)
	}
	var found []chaos.Injection
	for _, m := range marks {
		if slices.ContainsFunc(found, func(i chaos.Injection) bool { return i.ID == m.id }) {
			continue
		}
		found = append(found, chaos.Injection{
			ID: m.id, Fault: "toxiproxy." + m.fault, Owner: m.id.Owner(), Place: c.name,
			Targets: []string{"proxy/" + c.name}, Deadline: m.deadline,
		})
	}
	return found, nil
}

// allMarks asks the engine's own proxy for what it was told, which it answers
// also when its API hangs.
func (c *client) allMarks(ctx context.Context) ([]mark, error) {
	if c.keeper != nil {
		return c.keeper.armed(ctx)
	}
	s, err := c.api.show(ctx, c.proxy)
	if errors.Is(err, errNotThere) {
		return nil, nil
	}
	_, marks := s.marks("")
	return marks, err
}
