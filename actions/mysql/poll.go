package mysql

import (
	"context"
	"fmt"
	"time"
)

const pollEvery = 50 * time.Millisecond

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
