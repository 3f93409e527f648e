package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// PgBouncerOptions says what is behind a PgBouncer and who may use it.
type PgBouncerOptions struct {
	// Databases are the connection strings of the servers, by database.
	Databases map[string]string
	// Users are the passwords of those who may log in; Admins may also give
	// orders.
	Users, Admins map[string]string
}

// PgBouncer is a pooler before PostgreSQL.
type PgBouncer struct {
	*child.Server
	dir, address string
	options      PgBouncerOptions
}

// StartPgBouncer starts a PgBouncer with its files below dir.
func StartPgBouncer(ctx context.Context, dir string, options PgBouncerOptions) (*PgBouncer, error) {
	path, err := programs.PgBouncer.Find()
	if err != nil {
		return nil, err
	}
	as, err := child.Unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	p := &PgBouncer{options: options}
	if p.dir, err = as.PrivateDir(dir, "runbook-lab-pgbouncer-"); err != nil {
		return nil, err
	}
	var unwritten error
	p.Server, err = child.RunOnFreePorts(ctx, 1, func(ports []int) child.Program {
		p.address = child.Address(ports[0])
		unwritten = errors.Join(p.write(), as.Own(p.dir))
		return child.Program{
			Name: "PgBouncer", Path: path, User: as, Dir: p.dir, Log: filepath.Join(dir, "pgbouncer.log"),
			Args: []string{filepath.Join(p.dir, "pgbouncer.ini")},
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: p.ready,
		}
	})
	if err = errors.Join(unwritten, err); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

// Address is the host:port of the pooler.
func (p *PgBouncer) Address() string { return p.address }

// DSNFor is the connection URL of a role to a database, or to the console,
// which is the database pgbouncer.
func (p *PgBouncer) DSNFor(role, password, database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(role, password), Host: p.address,
		Path: "/" + database, RawQuery: "sslmode=disable&default_query_exec_mode=simple_protocol",
	}
	return dsn.String()
}

// Point changes the config so that a database is elsewhere. PgBouncer is not
// told.
func (p *PgBouncer) Point(database, server string) error {
	p.options.Databases[database] = server
	return p.write()
}

// Close ends the pooler and removes its files.
func (p *PgBouncer) Close() error { return errors.Join(p.Kill(), os.RemoveAll(p.dir)) }

func (p *PgBouncer) write() error {
	_, port, _ := strings.Cut(p.address, ":")
	var databases, users, admins strings.Builder
	for name, server := range p.options.Databases {
		fmt.Fprintf(&databases, "%s = %s\n", name, server)
	}
	for name, password := range p.options.Users {
		fmt.Fprintf(&users, "%q %q\n", name, password)
	}
	for name, password := range p.options.Admins {
		fmt.Fprintf(&users, "%q %q\n", name, password)
		fmt.Fprintf(&admins, "%s ", name)
	}
	list := filepath.Join(p.dir, "users.txt")
	text := fmt.Sprintf("[databases]\n%s[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir =\nauth_type = scram-sha-256\n"+
		"auth_file = %s\nadmin_users = %s\npool_mode = transaction\nserver_login_retry = 0.2\nignore_startup_parameters = extra_float_digits\n",
		&databases, port, list, &admins)
	return errors.Join(os.WriteFile(list, []byte(users.String()), 0o600),
		os.WriteFile(filepath.Join(p.dir, "pgbouncer.ini"), []byte(text), 0o600))
}

// ready logs in as any of the admins.
func (p *PgBouncer) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for name, password := range p.options.Admins {
		conn, err := pgx.Connect(ctx, p.DSNFor(name, password, "pgbouncer"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	}
	return errors.New("a PgBouncer needs an admin")
}
