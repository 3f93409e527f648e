// Package pgbouncer gives orders to a PgBouncer over its console: hold the clients
// of a database, let them go on, and read the configuration again.
package pgbouncer

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

// System is the connection to a PgBouncer and the actions on it.
func System(conns *actions.Connections) actions.System {
	return actions.System{
		Connection: console.Erase(),
		Actions: []actions.Action{
			pause(conns),
			pool(conns),
			reload(conns),
			resume(conns),
		},
	}
}

type config struct {
	Host         string      `json:"host" doc:"Host, or the folder of a Unix socket."`
	Port         int         `json:"port" default:"6432" min:"1" max:"65535" doc:"Port."`
	User         string      `json:"user" doc:"One of admin_users; for pgbouncer.pool, one of stats_users is enough."`
	PasswordFile secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password of the user; read anew for each call."`
	SSLMode      string      `json:"sslmode" default:"prefer" enum:"disable|allow|prefer|require|verify-ca|verify-full" doc:"As libpq has it."`
	CAFile       secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the server's must be signed by, PEM."`
}

type client struct {
	name string // of the connection
	config
}

var console = actions.Connection[config, *client]{
	Kind: "pgbouncer",
	Doc:  "The console of a PgBouncer.",
	Open: func(_ context.Context, name string, c config) (*client, error) { return &client{name, c}, nil },
}

// open is a session on the console.
func (c *client) open(ctx context.Context) (*pgconn.PgConn, error) {
	options := url.Values{"sslmode": {c.SSLMode}, "host": {c.Host}, "port": {strconv.Itoa(c.Port)}}
	if c.CAFile != "" {
		options.Set("sslrootcert", string(c.CAFile))
	}
	dsn := url.URL{Scheme: "postgres", User: url.User(c.User), Path: "/pgbouncer", RawQuery: options.Encode()}
	p, err := pgconn.ParseConfig(dsn.String())
	if err != nil {
		return nil, actions.Permanent(errors.New("host, port, user and ca_file make no connection string; is ca_file a file of certificates?"))
	}
	if c.PasswordFile != "" {
		if p.Password, err = c.PasswordFile.Read(); err != nil {
			return nil, actions.Permanent(err)
		}
	}
	return pgconn.ConnectConfig(ctx, p)
}

// row is a line of an answer, by column.
type row map[string]string

// tell gives one order and reads the answer.
func (c *client) tell(ctx context.Context, order string) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	conn, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
		defer cancel()
		_ = conn.Close(ctx) // it may have hung up
	}()
	results, err := conn.Exec(ctx, order).ReadAll()
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, r := range results {
		for _, values := range r.Rows {
			line := row{}
			for i, field := range r.FieldDescriptions {
				line[field.Name] = string(values[i])
			}
			rows = append(rows, line)
		}
	}
	return rows, nil
}

// failure says what was being done to what.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	wrapped := fmt.Errorf("%s pgbouncer %q: %w", what, c.name, oneLine{err})
	var said *pgconn.PgError
	if actions.ClassOf(err) == actions.ClassPermanent || errors.As(err, &said) {
		return actions.Permanent(wrapped)
	}
	return wrapped
}
