package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"
)

// awaitNew waits until more than half of the Sentinels name another master, and
// that one takes writes.
func (c *client) awaitNew(ctx context.Context, old string) (address string, err error) {
	err = poll(ctx, func() error {
		if address, err = c.master(ctx); err != nil {
			return err
		}
		if address == old {
			return fmt.Errorf("the master is %s still", old)
		}
		return c.prove(ctx, address)
	})
	return address, err
}

// prove writes to a master and reads it back.
func (c *client) prove(ctx context.Context, address string) error {
	reached, err := c.at(address)
	if err != nil {
		return err
	}
	key, value := "runbook:proof:"+rand.Text(), rand.Text()
	if err := reached.Set(ctx, key, value, time.Minute).Err(); err != nil {
		return fmt.Errorf("write to %s: %w", address, err)
	}
	back, err := reached.Get(ctx, key).Result()
	if err == nil && back != value {
		err = errors.New("another value came back")
	}
	if err != nil {
		return fmt.Errorf("read back from %s: %w", address, err)
	}
	return reached.Del(ctx, key).Err()
}

// awayAfter is how many looks in turn must fail until a server counts as away:
// Sentinel cuts the connections of whom it demotes.
const awayAfter = 3

// awaitDemotion waits until the old master, where it answers, takes no writes.
func (c *client) awaitDemotion(ctx context.Context, old string) (demoted bool, err error) {
	reached, err := c.at(old)
	if err != nil {
		return false, err
	}
	missed := 0
	err = poll(ctx, func() error {
		text, err := reached.Info(ctx, "replication").Result()
		if missed++; err != nil && missed < awayAfter {
			return fmt.Errorf("whether the old master %s takes writes is not known: %w", old, err)
		}
		if err != nil {
			return ctx.Err() // away: it takes no writes from here
		}
		missed = 0
		if demoted = parseInfo(text).text("role") == "slave"; !demoted {
			return fmt.Errorf("the old master %s takes writes still, as the new one does; stop it by hand", old)
		}
		return nil
	})
	return demoted, err
}

const pollEvery = 100 * time.Millisecond

// poll repeats check until it gives nil; its error says what the last one found.
func poll(ctx context.Context, check func() error) error {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}

func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && host != "" && port != ""
}
