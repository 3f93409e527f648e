package lab

import (
	"context"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/internal/lab/child"
)

const (
	// watchEvery is how exact the times are that the methods here return.
	watchEvery = 10 * time.Millisecond
	// readyWithin bounds the time for the parts to find each other.
	readyWithin = 30 * time.Second
)

// Exhaust makes the service leak its connections until none is left, and returns
// when that was. A pool that is full is not enough: a checkout may hold the last
// connection, and give it back.
func (l *Lab) Exhaust(ctx context.Context) (time.Time, error) {
	for leaked := 0; ; {
		pool, err := l.Orders.Pool(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if leaked >= pool.Size {
			return time.Now(), nil
		}
		held, err := l.Orders.Leak(ctx, pool.Size-leaked)
		if err != nil {
			return time.Time{}, fmt.Errorf("make the service leak connections: %w", err)
		}
		leaked += held
	}
}

// AwaitPool waits until the pool of the service is as wanted, for example
// Pool.Relieved, and returns when it was.
func (l *Lab) AwaitPool(ctx context.Context, wanted func(Pool) bool) (time.Time, error) {
	return moment(ctx, "the pool", func(ctx context.Context) error {
		pool, err := l.Orders.Pool(ctx)
		if err == nil && !wanted(pool) {
			err = fmt.Errorf("%+v is not as wanted", pool)
		}
		return err
	})
}

// AwaitAlert waits until Prometheus has an alert in a state ("pending",
// "firing", "inactive"), and returns when it had.
func (l *Lab) AwaitAlert(ctx context.Context, name, state string) (time.Time, error) {
	return moment(ctx, "alert "+name, func(ctx context.Context) error {
		now, err := l.Prometheus.AlertState(ctx, name)
		if err == nil && now.State != state {
			err = fmt.Errorf("it is %s, not %s", now.State, state)
		}
		return err
	})
}

func moment(ctx context.Context, what string, check func(context.Context) error) (time.Time, error) {
	if err := child.Poll(ctx, watchEvery, check); err != nil {
		return time.Time{}, fmt.Errorf("wait for %s: %w", what, err)
	}
	return time.Now(), nil
}
