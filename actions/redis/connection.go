package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	Address              string      `json:"address,omitempty" optional:"true" doc:"Address of a server, host:port. Either this or sentinels is given." example:"cache-1.shop.example:6379"`
	Sentinels            []string    `json:"sentinels,omitempty" optional:"true" min:"1" max:"20" doc:"Addresses of all Sentinels, host:port: what is reached is the master that more than half of them name."`
	Master               string      `json:"master,omitempty" optional:"true" doc:"Name of the master, as the Sentinels have it."`
	Username             string      `json:"username,omitempty" optional:"true" doc:"User (ACL) on the servers."`
	PasswordFile         secret.File `json:"password_file,omitempty" optional:"true" doc:"File with the password for the servers; read anew for each new session."`
	SentinelUsername     string      `json:"sentinel_username,omitempty" optional:"true" doc:"User (ACL) on the Sentinels."`
	SentinelPasswordFile secret.File `json:"sentinel_password_file,omitempty" optional:"true" doc:"File with the password for the Sentinels."`
	TLS                  bool        `json:"tls" default:"false" doc:"Use TLS to the servers and the Sentinels."`
	CAFile               secret.File `json:"ca_file,omitempty" optional:"true" doc:"File with the certificates that the servers' must be signed by, PEM; without it, those of the operating system."`
}

// ourName is the name that our own sessions have, so that they are spared.
const ourName = "runbook"

var server = actions.Connection[config, *client]{
	Kind: "redis",
	Doc:  "A Redis server, or the master that Sentinels watch over.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened, err := open(name, c)
		if err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
	Close: func(c *client) { c.close() },
}

func (c config) check() error {
	switch {
	case (c.Address == "") == (len(c.Sentinels) == 0):
		return errors.New("either address or sentinels is needed")
	case len(c.Sentinels) > 0 && c.Master == "":
		return errors.New("sentinels need master, the name that they have for it")
	case c.CAFile != "" && !c.TLS:
		return errors.New("ca_file needs tls: true")
	}
	for _, file := range []secret.File{c.PasswordFile, c.SentinelPasswordFile, c.CAFile} {
		if _, err := read(file); err != nil {
			return err
		}
	}
	return nil
}

func read(file secret.File) (string, error) {
	if file == "" {
		return "", nil
	}
	return file.Read()
}

const answersWithin = 2 * time.Second

// options are those of one server. There is one session, and it is kept: a server
// that has no client left to give must still be relieved.
func (c config) options(address, username string, password secret.File) (*redis.Options, error) {
	o := &redis.Options{
		Addr: address, ClientName: ourName, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, // the engine repeats
		DialerRetries:            1,
		DialTimeout:              answersWithin, ReadTimeout: answersWithin, WriteTimeout: answersWithin,
		ContextTimeoutEnabled: true,
		PoolSize:              1, PoolTimeout: 2 * answersWithin, ConnMaxIdleTime: -1,
		CredentialsProviderContext: func(context.Context) (string, string, error) {
			text, err := read(password)
			if err != nil {
				return "", "", actions.Permanent(err)
			}
			return username, text, nil
		},
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, err
	}
	o.TLSConfig = tlsConfig
	return o, nil
}

func (c config) tls() (*tls.Config, error) {
	if !c.TLS {
		return nil, nil
	}
	made, err := promconfig.NewTLSConfig(&promconfig.TLSConfig{CAFile: string(c.CAFile)})
	if err != nil {
		return nil, fmt.Errorf("set up tls: %w", err)
	}
	return made, nil
}

func open(name string, c config) (*client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	logging.Disable() // what goes wrong is in the errors
	opened := &client{name: name, config: c, servers: map[string]*redis.Client{}}
	for _, address := range c.Sentinels {
		o, err := c.options(address, c.SentinelUsername, c.SentinelPasswordFile)
		if err != nil {
			return nil, err
		}
		opened.sentinels = append(opened.sentinels, sentinel{address, redis.NewSentinelClient(o)})
	}
	ctx, release := context.WithCancel(context.Background())
	opened.release = release
	go opened.keep(ctx)
	return opened, nil
}
