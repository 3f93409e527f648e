package failover

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type proveParams struct {
	Database string         `json:"database" connection:"postgres" doc:"Connection by the way that clients take, such as through the proxy."`
	Table    string         `json:"table" default:"runbook_proof" pattern:"^[a-z_][a-z0-9_]*([.][a-z_][a-z0-9_]*)?$" doc:"Table to write to, made with CREATE TABLE runbook_proof (key text PRIMARY KEY, written timestamptz NOT NULL DEFAULT now())."`
	Timeout  model.Duration `json:"timeout" default:"5s" min:"100ms" max:"5m" doc:"How long writing and reading back may take together."`
}

type proveResult struct {
	Server string `json:"server" doc:"Address of the server that has the row, as it sees itself."`
}

func (f failover) proveWrite() actions.Action {
	return actions.Define(actions.Def[proveParams, proveResult]{
		Name: "postgres.prove_write",
		Doc: "Prove that a database takes writes: write a row, and read it back over another connection. Undo removes the row. " +
			"Where replication is synchronous, it also proves that the standby that the server waits for is there.",
		Risk:    actions.Reversible,
		Example: "{database: orders}",
		Target:  func(p proveParams) string { return "database/" + p.Database },
		Run:     f.prove,
		Undo:    f.unprove,
		Limit:   func(p proveParams) time.Duration { return time.Duration(p.Timeout) + 2*connectTimeout },
	})
}

func (f failover) prove(ctx context.Context, key actions.Key, _ actions.Target, p proveParams) (result proveResult, err error) {
	c, err := f.open(ctx, p.Database)
	if err != nil {
		return proveResult{}, err
	}
	err = c.within(ctx, p, "write to", func(ctx context.Context, conn *pgx.Conn) error {
		return p.write(ctx, conn, key)
	})
	if err != nil {
		return proveResult{}, err
	}
	err = c.within(ctx, p, "read back from", func(ctx context.Context, conn *pgx.Conn) error {
		err := conn.QueryRow(ctx, "SELECT coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a socket') FROM "+p.table()+
			" WHERE key = $1 AND NOT pg_is_in_recovery()", string(key)).Scan(&result.Server)
		if errors.Is(err, pgx.ErrNoRows) {
			return errors.New("what was written is not there: writes and reads go to different servers")
		}
		return err
	})
	return result, err
}

// write leaves one row, written now: that of an attempt before proves nothing. A
// server that gives up waiting for its standby keeps what it has written.
func (p proveParams) write(ctx context.Context, conn *pgx.Conn, key actions.Key) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM "+p.table()+" WHERE key = $1", string(key)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO "+p.table()+" (key) VALUES ($1)", string(key))
		return err
	})
}

func (f failover) unprove(ctx context.Context, key actions.Key, _ actions.Target, p proveParams) error {
	c, err := f.open(ctx, p.Database)
	if err != nil {
		return err
	}
	return c.within(ctx, p, "remove the proof from", func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, "DELETE FROM "+p.table()+" WHERE key = $1", string(key))
		return err
	})
}

func (p proveParams) table() string { return pgx.Identifier(strings.Split(p.Table, ".")).Sanitize() }

// within uses a connection of its own, so that it is led as a new client is.
func (c Server) within(parent context.Context, p proveParams, what string, use func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(parent, time.Duration(p.Timeout))
	defer cancel()
	conn, err := c.Connect(ctx)
	if err == nil {
		defer leave(ctx, conn)
		err = use(ctx, conn)
	}
	switch {
	case err == nil:
		return nil
	case parent.Err() == nil && ctx.Err() != nil && conn != nil:
		err = fmt.Errorf("no answer within %s; does synchronous_standby_names wait for a standby that is gone? %w", p.Timeout, err)
	}
	err = c.Failure(parent, what, err)
	if isUndefinedTable(err) {
		err = fmt.Errorf("%w: CREATE TABLE %s (key text PRIMARY KEY, written timestamptz NOT NULL DEFAULT now())", err, p.table())
	}
	return err
}
