// Package lab runs a complete real environment as local processes on the
// loopback: PostgreSQL, a demo service with a connection pool, Prometheus that
// watches it with a real alerting rule, and Alertmanager that sends to a
// webhook. The demo, the end-to-end tests and the benchmarks use it. It knows
// nothing of the engine.
//
// All processes die with ours, even when it is killed.
package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/runbook-engine/runbook/internal/lab/child"
)

// Options says what environment to start. The zero value is a complete one
// whose alerts go to nobody.
type Options struct {
	// Dir is where the directory of the lab is made; the system's temporary
	// directory unless set.
	Dir string
	// Keep leaves the directory of the lab in place when it is closed.
	Keep bool
	// Interval between scrapes and evaluations of the rules; 200ms unless set.
	Interval time.Duration
	// Peers is the number of Alertmanagers, which gossip when there are more
	// than one; 1 unless set.
	Peers        int
	Alertmanager AlertmanagerOptions
	Postgres     PostgresOptions
	Orders       OrdersOptions
}

// Lab is a running environment.
type Lab struct {
	// Dir holds the logs, *.log, and all other files.
	Dir           string
	Postgres      *Postgres
	Orders        *Orders
	Prometheus    *Prometheus
	Alertmanagers []*Alertmanager
	// EngineDSNFile holds the connection URL of the database orders for a role
	// "runbook" that may watch and end sessions, and is not a superuser.
	EngineDSNFile string
	// ServiceDSNFile holds the connection URL of the service's own role, which
	// owns its tables.
	ServiceDSNFile string

	keep bool
}

// Start starts an environment and waits until it is whole: the service answers
// and Prometheus knows the metrics of its pool. When it fails, everything is
// stopped, and only the logs are left.
func Start(ctx context.Context, options Options) (*Lab, error) {
	dir, err := os.MkdirTemp(options.Dir, "runbook-lab-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the lab: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { // the user postgres passes through
		return nil, err
	}
	lab := &Lab{Dir: dir, keep: options.Keep}
	if err := lab.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("start the lab: %w", err), lab.stop(), lab.tidy(ctx.Err() == nil))
	}
	return lab, nil
}

func (l *Lab) start(ctx context.Context, options Options) error {
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error { return l.startAlertmanagers(within, options) })
	group.Go(func() error { return l.startOrders(within, options) })
	if err := group.Wait(); err != nil {
		return err
	}
	return l.startPrometheus(ctx, options)
}

func (l *Lab) startAlertmanagers(ctx context.Context, options Options) (err error) {
	if peers := cmp.Or(options.Peers, 1); peers > 1 {
		l.Alertmanagers, err = StartAlertmanagers(ctx, l.Dir, peers, options.Alertmanager)
		return err
	}
	alone, err := StartAlertmanager(ctx, l.Dir, options.Alertmanager)
	if err == nil {
		l.Alertmanagers = []*Alertmanager{alone}
	}
	return err
}

func (l *Lab) startOrders(ctx context.Context, options Options) (err error) {
	if l.Postgres, err = StartPostgres(ctx, l.Dir, options.Postgres); err != nil {
		return err
	}
	dsnFile, err := l.createDatabase(ctx)
	if err != nil {
		return fmt.Errorf("create the database orders: %w", err)
	}
	l.ServiceDSNFile = dsnFile
	l.Orders, err = StartOrders(ctx, l.Dir, dsnFile, options.Orders)
	return err
}

func (l *Lab) startPrometheus(ctx context.Context, options Options) (err error) {
	watch := PrometheusOptions{
		Interval: options.Interval, Targets: map[string][]string{ordersJob: {l.Orders.address}},
	}
	for _, alertmanager := range l.Alertmanagers {
		watch.Alertmanagers = append(watch.Alertmanagers, alertmanager.Address())
	}
	if l.Prometheus, err = StartPrometheus(ctx, l.Dir, watch); err != nil {
		return err
	}
	return l.Prometheus.await(ctx, `db_pool_size{db="orders"}`)
}

// SetWebhook makes the Alertmanagers send to another webhook, for a receiver
// that starts after the lab.
func (l *Lab) SetWebhook(ctx context.Context, webhook Webhook) error {
	for _, alertmanager := range l.Alertmanagers {
		options := alertmanager.options
		options.Webhook = webhook
		if err := alertmanager.Reconfigure(ctx, options); err != nil {
			return err
		}
	}
	return nil
}

// Close stops everything and removes the directory of the lab, unless it is to
// be kept.
func (l *Lab) Close() error {
	if l.keep {
		return l.stop()
	}
	return errors.Join(l.stop(), l.tidy(false))
}

func (l *Lab) stop() error {
	var failed []error
	stop := func(started bool, stop func() error) {
		if started {
			failed = append(failed, stop())
		}
	}
	stop(l.Prometheus != nil, func() error { return l.Prometheus.Stop() })
	for _, alertmanager := range l.Alertmanagers {
		stop(true, alertmanager.Stop)
	}
	stop(l.Orders != nil, func() error { return l.Orders.Stop() })
	stop(l.Postgres != nil, func() error { return l.Postgres.Stop() })
	return errors.Join(failed...)
}

// tidy removes the files of the lab, with or without the logs.
func (l *Lab) tidy(keepLogs bool) error {
	if l.Postgres != nil {
		if err := os.RemoveAll(l.Postgres.data); err != nil {
			return err
		}
	}
	if !keepLogs {
		return os.RemoveAll(l.Dir)
	}
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".log") {
			failed = append(failed, os.RemoveAll(filepath.Join(l.Dir, entry.Name())))
		}
	}
	return errors.Join(failed...)
}

// FreeAddress is an address host:port of the loopback on which nobody listens
// now. It is for a server whose address has to be known before it starts;
// where possible listen on port 0 instead.
func FreeAddress() (string, error) { return child.FreeAddress() }
