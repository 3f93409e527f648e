package mysql

import (
	"cmp"
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"log"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"
	promconfig "github.com/prometheus/common/config"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	Host           string      `json:"host" min:"1" doc:"Host." example:"db-1.shop.example"`
	Port           int         `json:"port" default:"3306" min:"1" max:"65535" doc:"Port."`
	User           string      `json:"user" min:"1" doc:"User to log in as. What it needs is in docs/systems.md."`
	PasswordFile   secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password; read anew for each new session."`
	Database       string      `json:"database,omitempty" optional:"true" doc:"Database that statements are about."`
	TLS            bool        `json:"tls" default:"false" doc:"Use TLS, and verify the server."`
	CAFile         secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the server's must be signed by, PEM; without it, those of the operating system."`
	Advertise      string      `json:"advertise,omitempty" optional:"true" doc:"Address by which other servers reach this one, host:port, where it is not host and port."`
	ProtectedUsers []string    `json:"protected_users" default:"[\"root\",\"mariadb.sys\",\"mysql.sys\",\"mysql.session\",\"mysql.infoschema\",\"debian-sys-maint\"]" doc:"Users whose sessions are never ended; besides those whom the engine's user can see to have SUPER, CONNECTION ADMIN or REPLICATION SLAVE."`
}

// client has a session that is kept, so that a server that is full can be
// relieved, and a few for probes.
type client struct {
	name    string // of the connection
	config  config
	control *sql.DB
	probes  *sql.DB
	release context.CancelFunc // ends the keeping
}

var database = actions.Connection[config, *client]{
	Kind: "mysql",
	Doc:  "A MariaDB or MySQL server.",
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
	connectWithin = 5 * time.Second
	keepEvery     = 5 * time.Second
	maxProbes     = 4
)

func open(name string, c config) (*client, error) {
	connector, err := c.connector()
	if err != nil {
		return nil, err
	}
	opened := &client{name: name, config: c, control: sql.OpenDB(connector), probes: sql.OpenDB(connector)}
	opened.control.SetMaxOpenConns(1)
	opened.probes.SetMaxOpenConns(maxProbes)
	opened.probes.SetConnMaxIdleTime(time.Minute)
	ctx, release := context.WithCancel(context.Background())
	opened.release = release
	go opened.keep(ctx)
	return opened, nil
}

// keep holds the session for relief. A failure is not lost: the next action
// meets it too, and says so.
func (c *client) keep(ctx context.Context) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		_ = c.control.PingContext(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

func (c config) connector() (driver.Connector, error) {
	p := mysql.NewConfig()
	p.Net, p.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	p.User, p.DBName = c.User, c.Database
	p.Timeout, p.ReadTimeout, p.WriteTimeout = connectWithin, 0, connectWithin
	p.Logger = log.New(io.Discard, "", 0) // what goes wrong is in the errors
	var err error
	if p.TLS, err = c.tls(); err != nil {
		return nil, err
	}
	if _, err := c.password(); err != nil {
		return nil, err
	}
	option := mysql.BeforeConnect(func(_ context.Context, p *mysql.Config) (err error) {
		if p.Passwd, err = c.password(); err != nil {
			return actions.Permanent(err)
		}
		return nil
	})
	if err := p.Apply(option); err != nil {
		return nil, err
	}
	made, err := mysql.NewConnector(p)
	if err != nil {
		return nil, fmt.Errorf("make a connector: %w", err)
	}
	return made, nil
}

func (c config) password() (string, error) {
	if c.PasswordFile == "" {
		return "", nil
	}
	return c.PasswordFile.Read()
}

func (c config) tls() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil
	}
	made, err := promconfig.NewTLSConfig(&promconfig.TLSConfig{CAFile: string(c.CAFile), ServerName: c.Host})
	if err != nil {
		return nil, fmt.Errorf("set up tls: %w", err)
	}
	return made, nil
}

// address is how other servers reach this one.
func (c *client) address() string {
	return cmp.Or(c.config.Advertise, net.JoinHostPort(c.config.Host, strconv.Itoa(c.config.Port)))
}
