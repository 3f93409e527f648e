// Package postgres disturbs PostgreSQL databases with sessions of its own: by
// holding connections, and by holding locks. The sessions end by themselves: the
// server ends them at the deadline, and at once when the engine dies.
package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/chaos"
)

// Injector is the faults on databases. They are reached by the connections that
// the actions have, too.
func Injector(conns *actions.Connections) chaos.Injector {
	i := &injector{conns: conns, held: map[chaos.ID]*hold{}}
	return chaos.Injector{
		Name: "postgres",
		Faults: []chaos.Fault{
			holdConnections(i),
			holdLock(i),
		},
		Active: i.active,
		Heal: func(ctx context.Context, found chaos.Injection) error {
			return i.heal(ctx, found.Place, found.ID)
		},
	}
}

// inject adopts what this engine has held under the id before, also when others
// have ended some or all of its sessions since: to end them is what remedies are
// for.
func (i *injector) inject(ctx context.Context, m mark, database string, open func(context.Context) (*hold, error)) error {
	if i.known(m.id) {
		return nil
	}
	there, err := i.sessions(ctx, database, m.id)
	if err != nil || len(there) > 0 {
		return err
	}
	h, err := open(ctx)
	if err != nil {
		return err
	}
	i.keep(m, h)
	return nil
}

func (i *injector) healed(ctx context.Context, database string, id chaos.ID) error {
	there, err := i.sessions(ctx, database, id)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return postgres.Failure(ctx, database, "read back", stillThere(len(there)))
	}
	return nil
}

func (i *injector) heal(ctx context.Context, database string, id chaos.ID) error {
	i.forget(id)
	if err := i.end(ctx, database, id); err != nil {
		return err
	}
	return i.healed(ctx, database, id)
}

// active asks each database; one that does not answer hides no other.
func (i *injector) active(ctx context.Context) (all []chaos.Injection, err error) {
	for _, name := range i.conns.Names(postgres.Kind) {
		found, failed := i.injections(ctx, name)
		all, err = append(all, found...), errors.Join(err, failed)
	}
	return all, err
}

func (i *injector) injections(ctx context.Context, database string) ([]chaos.Injection, error) {
	there, err := i.sessions(ctx, database, "")
	var found []chaos.Injection
	seen := map[chaos.ID]bool{}
	for _, m := range there {
		if seen[m.id] {
			continue
		}
		seen[m.id] = true
		found = append(found, chaos.Injection{
			ID: m.id, Fault: "postgres." + m.fault, Owner: m.id.Owner(), Place: database,
			Targets: []string{"database/" + database}, Deadline: m.deadline,
		})
	}
	return found, err
}

func timeLeft(deadline time.Time) time.Duration { return max(time.Millisecond, time.Until(deadline)) }
