package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/postgres/failover"
)

// servers are the connections as a failover needs them.
func servers(conns *actions.Connections) func(ctx context.Context, name string) (failover.Server, error) {
	return func(ctx context.Context, name string) (failover.Server, error) {
		c, err := database.Get(ctx, conns, name)
		if err != nil {
			return failover.Server{}, err
		}
		at := c.probes.Config().ConnConfig
		return failover.Server{Name: c.name, Host: at.Host, Port: at.Port, Connect: c.fresh, Failure: c.failure}, nil
	}
}

// fresh is a new session that ends with the context: one that was there before
// says nothing of whether the server lets anybody in.
func (c *client) fresh(ctx context.Context) (*pgx.Conn, error) {
	p := c.probes.Config()
	if err := p.BeforeConnect(ctx, p.ConnConfig); err != nil {
		return nil, err
	}
	p.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	return pgx.ConnectConfig(ctx, p.ConnConfig)
}
