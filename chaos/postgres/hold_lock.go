package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/chaos"
)

type holdLockParams struct {
	Database string         `json:"database" connection:"postgres" doc:"Connection to the database."`
	Table    string         `json:"table" pattern:"^[A-Za-z_][A-Za-z0-9_$]*(\\.[A-Za-z_][A-Za-z0-9_$]*)?$" doc:"Table to lock, with its schema where it is not on the search path. Its name is taken as it is written." example:"public.orders"`
	Mode     string         `json:"mode" default:"access exclusive" enum:"access exclusive|exclusive|share row exclusive|share" doc:"Mode of the lock: access exclusive stops readers too, exclusive and the others only writers."`
	Wait     model.Duration `json:"wait" default:"5s" min:"10ms" max:"1m" doc:"How long to wait for those who hold the table. Others queue behind the wait already."`
}

func holdLock(i *injector) chaos.Fault {
	return chaos.Define(chaos.Def[holdLockParams]{
		Name:    "postgres.hold_lock",
		Doc:     "Hold a lock on a table in a session that is idle in transaction, as a forgotten migration does. A lock that somebody ends is not taken again.",
		Example: "{database: orders, table: public.orders}",
		Yields:  true,
		Targets: i.table,
		Allowed: i.mayLock,
		Inject: func(ctx context.Context, id chaos.ID, p holdLockParams, deadline time.Time) error {
			m := mark{"hold_lock", deadline, id}
			return i.inject(ctx, m, p.Database, func(ctx context.Context) (*hold, error) { return i.lock(ctx, m, p) })
		},
		Recover: func(ctx context.Context, id chaos.ID, p holdLockParams) error { return i.heal(ctx, p.Database, id) },
		Healed:  func(ctx context.Context, id chaos.ID, p holdLockParams) error { return i.healed(ctx, p.Database, id) },
	})
}

func (p holdLockParams) identifier() string {
	return pgx.Identifier(strings.Split(p.Table, ".")).Sanitize()
}

func (i *injector) lock(ctx context.Context, m mark, p holdLockParams) (*hold, error) {
	h := &hold{}
	err := i.open(ctx, h, p.Database, m, func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", time.Duration(p.Wait).Milliseconds())); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "LOCK TABLE "+p.identifier()+" IN "+p.Mode+" MODE")
		return err
	})
	if err == nil {
		return h, nil
	}
	h.close()
	return nil, fmt.Errorf("lock %s: %w", p.Table, err)
}

// table is empty when there is none of that name.
func (i *injector) table(ctx context.Context, p holdLockParams) (chaos.Selection, error) {
	control, err := postgres.Control(ctx, i.conns, p.Database)
	if err != nil {
		return chaos.Selection{}, err
	}
	var name string
	err = control.QueryRow(ctx, `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.oid = to_regclass($1)`, p.identifier()).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return chaos.Selection{}, nil
	}
	if err != nil {
		return chaos.Selection{}, postgres.Failure(ctx, p.Database, "look for the table in", err)
	}
	return chaos.One("table/"+p.Database+"/"+name, p.Mode), nil
}

// mayLock asks for what LOCK TABLE wants of a role in each of the modes. To end
// sessions of its own a role needs no right.
func (i *injector) mayLock(ctx context.Context, p holdLockParams) error {
	control, err := postgres.Control(ctx, i.conns, p.Database)
	if err != nil {
		return err
	}
	var role string
	var may bool
	err = control.QueryRow(ctx, `SELECT current_user, coalesce(has_table_privilege(to_regclass($1), CASE
		WHEN current_setting('server_version_num')::int >= 170000 THEN 'UPDATE, DELETE, TRUNCATE, MAINTAIN' ELSE 'UPDATE, DELETE, TRUNCATE' END), true)`,
		p.identifier()).Scan(&role, &may)
	if err != nil {
		return postgres.Failure(ctx, p.Database, "ask for the rights in", err)
	}
	if !may {
		return actions.Permanent(fmt.Errorf("postgres %q: role %s may not lock %s: GRANT UPDATE, DELETE or TRUNCATE on it", p.Database, role, p.Table))
	}
	return nil
}
