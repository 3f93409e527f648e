//go:build unix

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
)

// PostgresPairOptions says how to run a primary and its standby.
type PostgresPairOptions struct {
	// Synchronous makes the primary acknowledge a commit only when the standby
	// has it.
	Synchronous bool
	// Settings are of both servers.
	Settings map[string]string
}

// PostgresPair is a primary and a standby that streams from it. Each of those
// who look at the primary has a way of its own to it.
type PostgresPair struct {
	Primary, Standby *Postgres
	// Replication is the standby's way to the primary; Clients and Engine are
	// for those.
	Replication, Clients, Engine *proxy.Link
}

// StartPostgresPair starts both, with their files below dir, and waits until the
// standby streams.
func StartPostgresPair(ctx context.Context, dir string, options PostgresPairOptions) (*PostgresPair, error) {
	pair := &PostgresPair{}
	if err := pair.start(ctx, dir, options); err != nil {
		return nil, errors.Join(err, pair.Close())
	}
	return pair, nil
}

func (p *PostgresPair) start(ctx context.Context, dir string, options PostgresPairOptions) (err error) {
	if p.Primary, err = startIn(ctx, filepath.Join(dir, "primary"), options.Settings); err != nil {
		return err
	}
	for _, link := range []**proxy.Link{&p.Replication, &p.Clients, &p.Engine} {
		if *link, err = proxy.NewLink(p.Primary.Address()); err != nil {
			return err
		}
	}
	p.Standby, err = StartStandby(ctx, filepath.Join(dir, "standby"), p.Primary, p.Replication.Address(), "standby", options.Settings)
	if err != nil || !options.Synchronous {
		return err
	}
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if err := p.Primary.Exec(ctx, "postgres", statement); err != nil {
			return err
		}
	}
	return nil
}

func startIn(ctx context.Context, dir string, settings map[string]string) (*Postgres, error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return StartPostgres(ctx, dir, PostgresOptions{Settings: settings})
}

// BlackHole cuts all ways to the primary.
func (p *PostgresPair) BlackHole() {
	p.Replication.Cut()
	p.Clients.Cut()
	p.Engine.Cut()
}

// Close stops both and removes their data.
func (p *PostgresPair) Close() error {
	var failed []error
	for _, link := range []*proxy.Link{p.Replication, p.Clients, p.Engine} {
		if link != nil {
			failed = append(failed, link.Close())
		}
	}
	for _, server := range []*Postgres{p.Standby, p.Primary} {
		if server != nil {
			failed = append(failed, Signal(server.PID(), syscall.SIGCONT), server.Kill(), os.RemoveAll(server.data))
		}
	}
	return errors.Join(failed...)
}

// StartStandby makes a standby of a primary, which it streams from at the
// address via through a slot of its name, and waits until it does.
func StartStandby(ctx context.Context, dir string, primary *Postgres, via, name string, settings map[string]string) (*Postgres, error) {
	bin, err := programs.PostgreSQL.Find()
	if err != nil {
		return nil, err
	}
	as, err := child.Unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	data, err := as.PrivateDir(dir, "runbook-lab-postgres-")
	if err != nil {
		return nil, fmt.Errorf("make a data directory for a standby: %w", err)
	}
	standby := &Postgres{data: data, password: primary.password}
	err = standby.copyOf(ctx, bin, as, dir, via, name)
	if err == nil {
		err = standby.serve(ctx, bin, as, dir, PostgresOptions{Settings: settings})
	}
	if err == nil {
		err = primary.awaitStandby(ctx, name)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(data))
	}
	return standby, nil
}

// copyOf fills the data directory from the server at an address.
func (p *Postgres) copyOf(ctx context.Context, bin string, as *child.Account, dir, address, name string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	source := fmt.Sprintf("host=%s port=%s user=postgres password=%s application_name=%s sslmode=disable", host, port, p.password, name)
	return child.RunToEnd(ctx, child.Program{
		Name: "pg_basebackup", Path: filepath.Join(bin, "pg_basebackup"), User: as, Dir: p.data, Orphan: syscall.SIGTERM,
		Log: filepath.Join(dir, "basebackup.log"),
		Args: []string{"--dbname=" + source, "--pgdata=" + p.data, "--wal-method=stream", "--checkpoint=fast", "--no-sync",
			"--write-recovery-conf", "--create-slot", "--slot=" + name},
	})
}

func (p *Postgres) awaitStandby(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	return child.Poll(ctx, watchEvery, func(ctx context.Context) error {
		return p.Exec(ctx, "postgres", "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '"+name+
			"') THEN RAISE 'the standby does not stream yet'; END IF; END $$")
	})
}

// Demote makes a standby of a server that was promoted, without a primary to
// stream from.
func (p *Postgres) Demote(ctx context.Context) error {
	if err := p.Kill(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(p.data, "standby.signal"), nil, 0o644); err != nil {
		return err
	}
	return p.Start(ctx)
}
