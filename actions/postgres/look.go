package postgres

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// look runs f in a read-only transaction that is rolled back.
func look(ctx context.Context, conn *pgx.Conn, timeout time.Duration, f func(pgx.Tx) error) error {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	defer leave(ctx, tx)
	limit := strconv.FormatInt(timeout.Milliseconds(), 10)
	if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1, true)", limit); err != nil {
		return err
	}
	return f(tx)
}

// leave ends the transaction, also when ctx is over, and gives back the locks
// that outlive one. A session that can not be left as it was is not for the next
// one to use.
func leave(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	err := tx.Rollback(ctx)
	if err == nil {
		_, err = tx.Conn().Exec(ctx, "SELECT pg_advisory_unlock_all()")
	}
	if err != nil {
		_ = tx.Conn().Close(ctx) // it is of no use any more, whatever Close says
	}
}
