package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	DSNFile      secret.File `json:"dsn_file,omitempty" optional:"true" doc:"File with a connection URL or string, instead of the other keys." example:"/etc/runbook/orders.dsn"`
	Host         string      `json:"host,omitempty" optional:"true" doc:"Host, or the folder of a Unix socket."`
	Port         int         `json:"port" default:"5432" min:"1" max:"65535" doc:"Port."`
	User         string      `json:"user,omitempty" optional:"true" doc:"Role to log in as. To end the sessions of others it needs pg_signal_backend and pg_read_all_stats."`
	PasswordFile secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password of the role; read anew for each new session."`
	Database     string      `json:"database,omitempty" optional:"true" doc:"Database; that with the name of the role when absent."`
	SSLMode      string      `json:"sslmode" default:"prefer" enum:"disable|allow|prefer|require|verify-ca|verify-full" doc:"As libpq has it."`
	CAFile       secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the server's must be signed by, PEM."`
}

// ourName is the application_name of the engine's own sessions.
const ourName = "runbook"

// client has two pools, so that a slow probe never stands in the way of relief.
// control is one session, opened at once and kept for good: when the server has
// no connection left to give, it is there.
type client struct {
	name    string // of the connection
	control *pgxpool.Pool
	probes  *pgxpool.Pool
	release context.CancelFunc // ends the keeping
}

var database = actions.Connection[config, *client]{
	Kind: Kind,
	Doc:  "A database of a PostgreSQL server.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened, err := open(name, c)
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
	Close: func(c *client) {
		c.release()
		c.control.Close()
		c.probes.Close()
	},
}

const (
	connectTimeout = 5 * time.Second
	maxProbes      = 4
	forGood        = 10 * 365 * 24 * time.Hour
	// keepEvery is how long the session for relief may be lost, after a restart
	// of the server for example, before it is noticed and made anew.
	keepEvery = 5 * time.Second
)

func open(name string, c config) (*client, error) {
	control, err := c.pool(func(p *pgxpool.Config) {
		p.MaxConns = 1
		p.MaxConnLifetime, p.MaxConnIdleTime = forGood, forGood
	})
	if err != nil {
		return nil, err
	}
	probes, err := c.pool(func(p *pgxpool.Config) {
		p.MaxConns, p.MaxConnIdleTime = maxProbes, time.Minute
	})
	if err != nil {
		control.Close()
		return nil, err
	}
	ctx, release := context.WithCancel(context.Background())
	opened := &client{name, control, probes, release}
	go opened.keep(ctx)
	return opened, nil
}

// keep opens the session for relief, and opens it again when it is lost. Why
// that fails, the next call says that needs it.
func (c *client) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		_ = c.control.Ping(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (c config) pool(shape func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	p, err := c.parse()
	if err != nil {
		return nil, err
	}
	shape(p)
	p.PingTimeout = connectTimeout
	p.ConnConfig.ConnectTimeout = connectTimeout
	p.ConnConfig.RuntimeParams["application_name"] = ourName
	// A cancelled statement is cancelled on the server, and its session kept.
	p.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: time.Second}
	}
	p.BeforeConnect = func(_ context.Context, conn *pgx.ConnConfig) error {
		now, err := c.parse()
		if err != nil {
			return actions.Permanent(err)
		}
		conn.User, conn.Password = now.ConnConfig.User, now.ConnConfig.Password
		return nil
	}
	return pgxpool.NewWithConfig(context.Background(), p)
}

// parse reads the secrets. Its errors show none, nor what a parser says of them.
func (c config) parse() (*pgxpool.Config, error) {
	dsn, err := c.dsn()
	if err != nil {
		return nil, err
	}
	p, err := pgxpool.ParseConfig(dsn)
	if err != nil && c.DSNFile != "" {
		return nil, fmt.Errorf("%s holds no connection string (it is not shown), such as postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full", c.DSNFile)
	}
	if err != nil {
		return nil, errors.New("host, port, user, database and ca_file make no connection string; is ca_file a file of certificates?")
	}
	return p, nil
}

func (c config) dsn() (string, error) {
	if c.DSNFile != "" {
		if c.Host != "" || c.User != "" || c.PasswordFile != "" || c.Database != "" || c.CAFile != "" {
			return "", errors.New("dsn_file excludes host, user, password_file, database and ca_file")
		}
		return c.DSNFile.Read()
	}
	if c.Host == "" || c.User == "" {
		return "", errors.New("either dsn_file or host and user are needed")
	}
	options := url.Values{"sslmode": {c.SSLMode}, "host": {c.Host}}
	if c.CAFile != "" {
		options.Set("sslrootcert", string(c.CAFile))
	}
	dsn := url.URL{
		Scheme: "postgres", User: url.User(c.User), Path: "/" + c.Database, RawQuery: options.Encode(),
		Host: net.JoinHostPort("", strconv.Itoa(c.Port)),
	}
	if c.PasswordFile != "" {
		password, err := c.PasswordFile.Read()
		if err != nil {
			return "", err
		}
		dsn.User = url.UserPassword(c.User, password)
	}
	return dsn.String(), nil
}
