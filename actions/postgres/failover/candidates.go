package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runbook-engine/runbook/actions"
)

// candidate is a standby as it was when it was asked.
type candidate struct {
	Server
	standing
	err error
}

// candidates asks all standbys.
func (f failover) candidates(ctx context.Context, p promoteParams) ([]candidate, error) {
	servers, err := f.others(ctx, p.Primary, p.Standbys)
	if err != nil {
		return nil, err
	}
	all := make([]candidate, len(servers))
	var asking errgroup.Group
	for i, c := range servers {
		asking.Go(func() error {
			all[i].Server = c
			all[i].standing, all[i].err = c.stand(ctx, time.Duration(p.Heartbeat))
			return nil
		})
	}
	_ = asking.Wait() // each has its own error
	return all, ctx.Err()
}

// choice is which standby becomes the primary, and what it may lack of what the
// old one had.
type choice struct {
	candidate
	lag int64
}

var errNobody = errors.New("no standby answers")

// choose picks the standby that has most, the first of those that have the same.
// One that is a primary already was chosen by an earlier attempt.
func choose(all []candidate, p promoteParams) (choice, error) {
	var best, made []candidate
	known, silent := p.Position, []error{}
	for _, c := range all {
		switch {
		case c.err != nil:
			silent = append(silent, c.Failure(context.Background(), "ask the standby", c.err))
			continue
		case !c.standby:
			made = append(made, c)
			continue
		case len(best) == 0 || c.position > best[0].position:
			best = []candidate{c}
		}
		known = max(known, c.position, c.ended)
	}
	switch {
	case len(made) > 1:
		return choice{}, actions.Permanent(fmt.Errorf("%q and %q both accept writes: stop one of them by hand, now", made[0].Name, made[1].Name))
	case len(made) == 1:
		return choice{candidate: made[0]}, nil
	case len(silent) > p.Missing:
		return choice{}, fmt.Errorf("the standby that has most is not known: %w", errors.Join(silent...))
	case len(best) == 0:
		return choice{}, errNobody
	}
	return choice{best[0], known - best[0].position}, nil
}

// fit says why a standby must not be promoted.
func (c choice) fit(p promoteParams) error {
	switch {
	case c.lag > p.MaxLag:
		return fmt.Errorf("standby %q lacks %d bytes of what the old primary is known to have had, and max_lag is %d: "+
			"bring the old one back, or raise max_lag to give them up", c.Name, c.lag, p.MaxLag)
	case c.paused:
		return fmt.Errorf("replay is paused on standby %q: SELECT pg_wal_replay_resume() there", c.Name)
	}
	return nil
}
