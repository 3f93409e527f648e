package ssh

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/secret"
)

type config struct {
	Address    string      `json:"address" doc:"The machine's address, host:port." example:"orders-1.shop.example:22"`
	User       string      `json:"user" min:"1" doc:"User to log in as. Its login shell must be a POSIX shell, as ssh has commands run by it."`
	KeyFile    secret.File `json:"key_file" doc:"File with the private key, without a passphrase; read anew for each session."`
	KnownHosts secret.File `json:"known_hosts_file" doc:"File with the machine's host key, as ssh-keyscan prints it. A machine with any other key is refused."`
	Allow      []argv.Rule `json:"allow" min:"1" doc:"The commands that steps may run. Every other one is refused."`
}

type client struct {
	name string // of the connection
	config
}

var machine = actions.Connection[config, *client]{
	Kind: "ssh",
	Doc:  "Another machine, by SSH.",
	Open: func(_ context.Context, name string, c config) (*client, error) {
		opened := &client{name, c}
		if _, err := opened.settings(); err != nil {
			return nil, actions.Permanent(err)
		}
		return opened, nil
	},
}

const connectWithin = 10 * time.Second

// dial makes a session of its own for each command: one that is kept hides that
// the machine can not be reached.
func (c *client) dial(ctx context.Context) (*ssh.Client, error) {
	settings, err := c.settings()
	if err != nil {
		return nil, actions.Permanent(err)
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	opened, channels, requests, err := ssh.NewClientConn(conn, c.Address, settings)
	if !stop() {
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		conn.Close()
		return nil, classified(err)
	}
	return ssh.NewClient(opened, channels, requests), nil
}

// classified: a key that is wrong on either side is wrong the next time too.
func classified(err error) error {
	var host *knownhosts.KeyError
	switch {
	case errors.As(err, &host) && len(host.Want) > 0:
		return actions.Permanent(fmt.Errorf("the machine has another host key than known_hosts_file says; it may be somebody else: %w", err))
	case errors.As(err, &host):
		return actions.Permanent(fmt.Errorf("known_hosts_file has no key of this machine; add what ssh-keyscan prints, once you have compared it: %w", err))
	case isRefusal(err):
		return actions.Permanent(err)
	}
	return err
}

func (c *client) settings() (*ssh.ClientConfig, error) {
	text, err := c.KeyFile.Read()
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey([]byte(text + "\n"))
	if err != nil {
		return nil, fmt.Errorf("%s holds no private key without a passphrase", c.KeyFile)
	}
	check, err := knownhosts.New(string(c.KnownHosts))
	if err != nil {
		return nil, fmt.Errorf("read known_hosts_file: %w", err)
	}
	return &ssh.ClientConfig{
		User: c.User, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, Timeout: connectWithin,
		HostKeyCallback: check, HostKeyAlgorithms: algorithms(check, c.Address),
	}, nil
}

// algorithms are those of the keys that are known: else a machine that has
// several keys may show one that is not. The callback tells them when it is
// shown a key that nobody has.
func algorithms(check ssh.HostKeyCallback, address string) (names []string) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil
	}
	unknown, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil
	}
	var found *knownhosts.KeyError
	if !errors.As(check(address, &net.TCPAddr{IP: net.IPv4zero}, unknown), &found) {
		return nil
	}
	for _, known := range found.Want {
		for _, name := range signatures(known.Key.Type()) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// signatures are the algorithms that a key can sign with.
func signatures(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}
