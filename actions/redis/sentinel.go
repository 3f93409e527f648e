package redis

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/runbook-engine/runbook/actions"
)

type sentinel struct {
	address string
	client  *redis.SentinelClient
}

// master is the address that more than half of all Sentinels name. Those that do
// not answer count as disagreeing: what a minority says may be long past.
func (c *client) master(ctx context.Context) (string, error) {
	votes, failures := c.votes(ctx)
	for address, count := range votes {
		if 2*count > len(c.sentinels) {
			return address, nil
		}
	}
	if len(votes) == 0 {
		return "", fmt.Errorf("ask the sentinels for the master %s: %w", c.config.Master, errors.Join(failures...))
	}
	return "", fmt.Errorf("ask the sentinels for the master %s: no more than half of %d agree (%v): %w",
		c.config.Master, len(c.sentinels), votes, errors.Join(append(failures, errDisagree)...))
}

var errDisagree = errors.New("a failover may be under way, or the sentinels can not see each other")

// votes asks all Sentinels at the same time: one that hangs must not hold up the
// others.
func (c *client) votes(ctx context.Context) (votes map[string]int, failures []error) {
	type answer struct {
		master string
		err    error
	}
	answers := make(chan answer, len(c.sentinels))
	for _, s := range c.sentinels {
		go func() {
			master, err := s.master(ctx, c.config.Master)
			answers <- answer{master, err}
		}()
	}
	votes = map[string]int{}
	for range c.sentinels {
		if a := <-answers; a.err != nil {
			failures = append(failures, a.err)
		} else {
			votes[a.master]++
		}
	}
	return votes, failures
}

func (s sentinel) master(ctx context.Context, name string) (string, error) {
	found, err := s.client.GetMasterAddrByName(ctx, name).Result()
	if errors.Is(err, redis.Nil) {
		return "", actions.Permanent(fmt.Errorf("sentinel %s knows no master %q", s.address, name))
	}
	if err != nil {
		return "", fmt.Errorf("sentinel %s: %w", s.address, err)
	}
	if len(found) != 2 {
		return "", fmt.Errorf("sentinel %s gives %d fields for an address", s.address, len(found))
	}
	return net.JoinHostPort(found[0], found[1]), nil
}
