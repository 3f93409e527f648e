package workflows

import (
	"context"
	"time"
)

// clock is what time it is for an activity, and how it passes: in a rehearsal
// otherwise than for everybody.
type clock interface {
	now() time.Time
	wait(ctx context.Context, d time.Duration) error
}

// clockOf begins a clock.
func (a *Activities) clockOf() clock {
	if a.clock == nil {
		return wall{}
	}
	return a.clock()
}

type wall struct{}

func (wall) now() time.Time { return time.Now() }

func (wall) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
