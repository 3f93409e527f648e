package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/runbook-engine/runbook/actions"
)

// Session opens a session over a connection under an application_name of the
// caller's, who closes it: for what must not share the engine's own sessions.
func Session(ctx context.Context, conns *actions.Connections, name, application string) (*pgx.Conn, error) {
	c, err := database.Get(ctx, conns, name)
	if err != nil {
		return nil, err
	}
	p := c.control.Config()
	p.ConnConfig.RuntimeParams["application_name"] = application
	if err := p.BeforeConnect(ctx, p.ConnConfig); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, p.ConnConfig)
	if err != nil {
		return nil, c.failure(ctx, "open a session of", err)
	}
	return conn, nil
}

// Control is the one session that the engine keeps over a connection, for short
// statements: it is there when the server has no connection left to give.
func Control(ctx context.Context, conns *actions.Connections, name string) (*pgxpool.Pool, error) {
	c, err := database.Get(ctx, conns, name)
	if err != nil {
		return nil, err
	}
	return c.control, nil
}

// Failure says what was being done to which connection, and what the error means
// for a retry.
func Failure(ctx context.Context, name, what string, err error) error {
	return (&client{name: name}).failure(ctx, what, err)
}

// Kind is that of connections to databases.
const Kind = "postgres"
