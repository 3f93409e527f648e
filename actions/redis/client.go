package redis

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// client reaches the servers of one connection.
type client struct {
	name      string // of the connection
	config    config
	sentinels []sentinel
	release   context.CancelFunc // ends the keeping

	mu      sync.Mutex
	servers map[string]*redis.Client // by address
}

// keepEvery is how long the kept session may be lost before it is made anew.
const keepEvery = 5 * time.Second

// keep holds a session to the server, so that relief needs no new one. A failure
// is not lost: the next action meets it too, and says so.
func (c *client) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if reached, _, err := c.server(ctx); err == nil {
			_ = reached.Ping(ctx).Err()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// server is the one to act on: that of the config, or the master that the
// Sentinels agree on.
func (c *client) server(ctx context.Context) (reached *redis.Client, address string, err error) {
	address = c.config.Address
	if len(c.sentinels) > 0 {
		if address, err = c.master(ctx); err != nil {
			return nil, "", err
		}
	}
	reached, err = c.at(address)
	return reached, address, err
}

// at is the client of one server.
func (c *client) at(address string) (*redis.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, there := c.servers[address]; there {
		return known, nil
	}
	o, err := c.config.options(address, c.config.Username, c.config.PasswordFile)
	if err != nil {
		return nil, err
	}
	c.servers[address] = redis.NewClient(o)
	return c.servers[address], nil
}

func (c *client) close() {
	c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.servers {
		one.Close()
	}
	for _, one := range c.sentinels {
		one.client.Close()
	}
}
