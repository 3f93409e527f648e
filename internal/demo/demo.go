// Package demo plays the main job for somebody who watches: a real environment,
// the real program as a child process, a real fault, and one timeline of what
// was measured.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
)

// Options say how to play.
type Options struct {
	// Program is the runbook program to play with.
	Program string
	// Keep leaves everything up until the context ends.
	Keep bool
	Out  io.Writer
}

const (
	alertName = "DBPoolExhausted"
	patience  = 90 * time.Second
)

// Play plays the demo. It fails when the incident does not end as it should.
func Play(ctx context.Context, o Options) (err error) {
	s := &stage{Options: o}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.set(ctx); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{s.play, s.drill} {
		if err := act(ctx); err != nil {
			return fmt.Errorf("%w\n%s", err, s.logs())
		}
	}
	if o.Keep {
		s.addresses()
		<-ctx.Done()
	}
	return nil
}

// incident is what was measured. All clocks are those of this machine.
type incident struct {
	exhausted, pending, relieved time.Time
	run                          run.Run
}

// firing is when Prometheus found that the alert fires: looking from outside
// would see it later than the webhook does.
func (i *incident) firing() time.Time {
	if i.run.Alert == nil {
		return time.Time{}
	}
	return i.run.Alert.StartsAt
}

func (s *stage) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var i incident
	var err error
	s.say("\nThe fault: requests of orders-api begin a transaction and wait for a payment provider that never answers.")
	if i.exhausted, err = s.lab.Exhaust(ctx); err != nil {
		return fmt.Errorf("exhaust the pool: %w", err)
	}
	if err := s.watch(ctx, &i); err != nil {
		return err
	}
	s.timeline(&i)
	if i.run.Outcome != run.Fixed {
		return fmt.Errorf("the run ended as %s (%s), not as fixed", i.run.Outcome, i.run.OutcomeReason)
	}
	return nil
}

// watch follows the incident from all sides at once: Prometheus, the service
// itself, and the engine.
func (s *stage) watch(ctx context.Context, i *incident) error {
	var watchers group
	watchers.start(func() (err error) {
		i.pending, err = s.lab.AwaitAlert(ctx, alertName, "pending")
		return err
	})
	watchers.start(func() (err error) {
		i.relieved, err = s.lab.AwaitPool(ctx, lab.Pool.Relieved)
		return err
	})
	watchers.start(func() (err error) {
		i.run, err = s.engine.follow(ctx, i.exhausted, s.printer(i.exhausted))
		return err
	})
	return watchers.wait()
}

// group runs functions side by side and joins their errors.
type group struct{ results []chan error }

func (g *group) start(f func() error) {
	result := make(chan error, 1)
	g.results = append(g.results, result)
	go func() { result <- f() }()
}

func (g *group) wait() error {
	var failed []error
	for _, r := range g.results {
		failed = append(failed, <-r)
	}
	return errors.Join(failed...)
}
