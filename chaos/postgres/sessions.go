package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/chaos"
)

// ours are the sessions of faults in the database; of one injection, unless its
// id is empty. The form of the names has no character that LIKE would read.
const ours = `FROM pg_stat_activity
	WHERE datname = current_database() AND starts_with(application_name, '` + prefix + `')
		AND ($1 = '' OR split_part(application_name, ':', 4) = $1)`

const (
	lookEvery  = 10 * time.Millisecond
	endsWithin = 10 * time.Second
)

// sessions are the marks of those that are there now, as the server tells.
func (i *injector) sessions(ctx context.Context, database string, id chaos.ID) ([]mark, error) {
	control, err := postgres.Control(ctx, i.conns, database)
	if err != nil {
		return nil, err
	}
	rows, err := control.Query(ctx, "SELECT application_name "+ours, string(id))
	if err != nil {
		return nil, postgres.Failure(ctx, database, "list the sessions of faults in", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, postgres.Failure(ctx, database, "list the sessions of faults in", err)
	}
	var marks []mark
	for _, name := range names {
		if m, ok := readMark(name); ok {
			marks = append(marks, m)
		}
	}
	return marks, nil
}

// end terminates what is left of an injection, whoever holds it, and waits until
// it is gone.
func (i *injector) end(ctx context.Context, database string, id chaos.ID) error {
	control, err := postgres.Control(ctx, i.conns, database)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(endsWithin); ; {
		told, err := control.Exec(ctx, "SELECT pg_terminate_backend(pid) "+ours, string(id))
		switch {
		case err != nil:
			return postgres.Failure(ctx, database, "end the sessions of a fault in", err)
		case told.RowsAffected() == 0:
			return nil
		case time.Now().After(deadline):
			return postgres.Failure(ctx, database, "end the sessions of a fault in", stillThere(int(told.RowsAffected())))
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return postgres.Failure(ctx, database, "end the sessions of a fault in", ctx.Err())
		}
	}
}
