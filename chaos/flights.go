package chaos

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// flights orders what this process does under one id: one Inject at a time, a
// Recover stops the Inject that is under way, and what was recovered is not
// injected again by a late or repeated call.
type flights struct {
	mu    sync.Mutex
	under map[ID]flight
	ended map[ID]bool
}

type flight struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// landsWithin is how long a Recover waits for a cancelled Inject: healing goes
// on without it then.
const landsWithin = time.Second

func newFlights() *flights { return &flights{under: map[ID]flight{}, ended: map[ID]bool{}} }

// inject calls f unless the injection has been recovered.
func (fs *flights) inject(ctx context.Context, id ID, f func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	own := flight{cancel, make(chan struct{})}
	for {
		other, err := fs.begin(id, own)
		if err != nil {
			return err
		}
		if other == nil {
			break
		}
		select {
		case <-other:
		case <-ctx.Done():
			return fmt.Errorf("wait for the same injection %s: %w", id, ctx.Err())
		}
	}
	defer fs.land(id, own)
	return f(ctx)
}

// begin gives the end of the flight that is under way under this id, if any.
func (fs *flights) begin(id ID, own flight) (other <-chan struct{}, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.ended[id] {
		return nil, actions.Permanent(fmt.Errorf("%s was healed already; what was healed is not injected again under the same id", id))
	}
	if under, busy := fs.under[id]; busy {
		return under.done, nil
	}
	fs.under[id] = own
	return nil, nil
}

func (fs *flights) land(id ID, own flight) {
	fs.mu.Lock()
	delete(fs.under, id)
	fs.mu.Unlock()
	close(own.done)
}

// end lets no Inject under this id begin any more, and stops the one under way.
func (fs *flights) end(ctx context.Context, id ID) {
	fs.mu.Lock()
	fs.ended[id] = true
	under, busy := fs.under[id]
	fs.mu.Unlock()
	if !busy {
		return
	}
	under.cancel()
	select {
	case <-under.done:
	case <-time.After(landsWithin):
	case <-ctx.Done():
	}
}
