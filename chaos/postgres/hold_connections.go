package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/chaos"
)

type holdConnectionsParams struct {
	Database string `json:"database" connection:"postgres" doc:"Connection to the database."`
	Sessions int    `json:"sessions" min:"1" max:"1000" doc:"How many sessions to hold. All of them, or the fault is not injected." example:"80"`
}

// atATime bounds how many sessions are being opened: a server takes them one by
// one in any case.
const atATime = 8

func holdConnections(i *injector) chaos.Fault {
	return chaos.Define(chaos.Def[holdConnectionsParams]{
		Name:    "postgres.hold_connections",
		Doc:     "Hold sessions idle in transaction, as an application does that leaks connections. Those that somebody ends are not opened again.",
		Example: "{database: orders, sessions: 80}",
		Yields:  true,
		Targets: func(ctx context.Context, p holdConnectionsParams) (chaos.Selection, error) {
			return i.database(ctx, p.Database)
		},
		Inject: func(ctx context.Context, id chaos.ID, p holdConnectionsParams, deadline time.Time) error {
			m := mark{"hold_connections", deadline, id}
			return i.inject(ctx, m, p.Database, func(ctx context.Context) (*hold, error) { return i.hold(ctx, m, p) })
		},
		Recover: func(ctx context.Context, id chaos.ID, p holdConnectionsParams) error {
			return i.heal(ctx, p.Database, id)
		},
		Healed: func(ctx context.Context, id chaos.ID, p holdConnectionsParams) error {
			return i.healed(ctx, p.Database, id)
		},
	})
}

func (i *injector) hold(ctx context.Context, m mark, p holdConnectionsParams) (*hold, error) {
	h := &hold{}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(atATime)
	for range p.Sessions {
		group.Go(func() error {
			return i.open(within, h, p.Database, m, func(context.Context, *pgx.Conn) error { return nil })
		})
	}
	if err := group.Wait(); err != nil {
		h.close()
		return nil, fmt.Errorf("hold %d sessions: %w", p.Sessions, errors.Join(ctx.Err(), err))
	}
	return h, nil
}

func (i *injector) database(ctx context.Context, name string) (chaos.Selection, error) {
	control, err := postgres.Control(ctx, i.conns, name)
	if err != nil {
		return chaos.Selection{}, err
	}
	var used, most int
	err = control.QueryRow(ctx, `SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity
		WHERE backend_type = 'client backend'`).Scan(&used, &most)
	if err != nil {
		return chaos.Selection{}, postgres.Failure(ctx, name, "count the sessions of", err)
	}
	return chaos.One("database/"+name, fmt.Sprintf("%d of %d connections are used", used, most)), nil
}
