package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/runbook-engine/runbook/actions"
)

// passing are what a server says that passes by itself.
var passing = []string{"LOADING ", "BUSY ", "MASTERDOWN ", "TRYAGAIN ", "CLUSTERDOWN ", "READONLY ", "OOM ", "NOREPLICAS ", "MISCONF ", "ERR max number of clients"}

// failure says what was being done to which connection, and whether to try again.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	err = fmt.Errorf("%s redis %q: %w", what, c.name, err)
	var said redis.Error
	if !errors.As(err, &said) || errors.Is(err, redis.Nil) {
		return err
	}
	for _, prefix := range passing {
		if strings.HasPrefix(said.Error(), prefix) {
			return err
		}
	}
	return actions.Permanent(advised(err, said.Error()))
}

func advised(err error, said string) error {
	switch {
	case strings.HasPrefix(said, "NOPERM"):
		return fmt.Errorf("%w; the engine's user needs that right: ACL SETUSER", err)
	case strings.HasPrefix(said, "NOAUTH"), strings.HasPrefix(said, "WRONGPASS"):
		return fmt.Errorf("%w; look at username and password_file of the connection", err)
	}
	return err
}
