package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// PostgresOptions says how to run PostgreSQL.
type PostgresOptions struct {
	// MaxConnections is 200 unless set.
	MaxConnections int
	// Settings are added to the server's configuration, and win.
	Settings map[string]string
}

// Postgres is a PostgreSQL of its own, on the loopback only and without a
// Unix socket. Its data is not safe against a crash of the machine.
type Postgres struct {
	*child.Server
	port     int
	data     string
	password string
}

// StartPostgres makes a new database cluster of the newest PostgreSQL
// installed and starts it. Its log is dir/postgres.log, its data is below dir
// too, unless we are root and the user postgres cannot reach dir.
func StartPostgres(ctx context.Context, dir string, options PostgresOptions) (*Postgres, error) {
	bin, err := programs.PostgreSQL.Find()
	if err != nil {
		return nil, err
	}
	as, err := child.Unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	data, err := as.PrivateDir(dir, "runbook-lab-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a data directory for PostgreSQL: %w", err)
	}
	postgres := &Postgres{data: data}
	if err := postgres.start(ctx, bin, as, dir, options); err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	return postgres, nil
}

func (p *Postgres) start(ctx context.Context, bin string, as *child.Account, dir string, options PostgresOptions) (err error) {
	if p.password, err = newCluster(ctx, bin, as, p.data); err != nil {
		return fmt.Errorf("make a PostgreSQL cluster: %w", err)
	}
	return p.serve(ctx, bin, as, dir, options)
}

// serve starts the server on the data that there is.
func (p *Postgres) serve(ctx context.Context, bin string, as *child.Account, dir string, options PostgresOptions) (err error) {
	p.Server, err = child.RunOnFreePorts(ctx, 1, func(ports []int) child.Program {
		p.port = ports[0]
		return child.Program{
			Name: "PostgreSQL", Path: filepath.Join(bin, "postgres"), User: as,
			Args: append([]string{"-D", p.data}, options.arguments(p.port)...),
			Dir:  p.data, Log: filepath.Join(dir, "postgres.log"),
			// A fast shutdown; for an orphan an immediate one, which also
			// frees its shared memory.
			Stop: syscall.SIGINT, Orphan: syscall.SIGQUIT,
			Ready: p.ping,
		}
	})
	return err
}

func (o PostgresOptions) arguments(port int) []string {
	settings := map[string]string{
		"port":                    strconv.Itoa(port),
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "",
		"max_connections":         strconv.Itoa(cmp.Or(o.MaxConnections, 200)),
		"fsync":                   "off",
		"full_page_writes":        "off",
	}
	for name, value := range o.Settings {
		settings[name] = value
	}
	var arguments []string
	for name, value := range settings {
		arguments = append(arguments, "-c", name+"="+value)
	}
	return arguments
}

func (p *Postgres) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return p.Exec(ctx, "postgres", "SELECT 1")
}

// Address is the host:port of the server.
func (p *Postgres) Address() string { return child.Address(p.port) }

// DSN is the connection URL of the superuser to the database postgres. It
// holds a password.
func (p *Postgres) DSN() string { return p.DSNFor("postgres", p.password, "postgres") }

// DSNFor is the connection URL of another role or database.
func (p *Postgres) DSNFor(role, password, database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password), Host: p.Address(),
		Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

// Exec runs one or more SQL statements as the superuser in a database.
func (p *Postgres) Exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, p.DSNFor("postgres", p.password, database))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// Close stops the server and removes its data.
func (p *Postgres) Close() error {
	return errors.Join(p.Stop(), os.RemoveAll(p.data))
}
