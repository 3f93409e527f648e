// Package failover puts a standby in the place of a primary that is dead. Each
// action is a stage of its own, which looks at the servers and not at what went
// before, so that a failover that was cut off at any point is begun again from its
// first step.
package failover

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

// Server is one server, by the connection to it.
type Server struct {
	Name string // of the connection
	Host string
	Port uint16
	// Connect opens a session of its own, which ends with the context.
	Connect func(ctx context.Context) (*pgx.Conn, error)
	// Failure says what was being done to the server.
	Failure func(ctx context.Context, what string, err error) error
}

// Actions are those of a failover, on the servers that open gives by name.
func Actions(open func(ctx context.Context, name string) (Server, error)) []actions.Action {
	f := failover{open}
	return []actions.Action{f.primaryDead(), f.promote(), f.proveWrite(), f.replication()}
}

type failover struct {
	open func(ctx context.Context, name string) (Server, error)
}

const (
	connectTimeout = 5 * time.Second
	lookTimeout    = 10 * time.Second
)

func isUndefinedTable(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && said.Code == "42P01"
}

func short(d time.Duration) string { return model.Duration(d.Truncate(time.Second)).String() }
