package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	faults "github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/internal/reconcile"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/version"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// Options are what a config file does not say.
type Options struct {
	// Log is where the engine logs; nothing is logged without it.
	Log *slog.Logger
	// Standalone makes an engine for one person who acts now: on a free port of
	// the loopback, with a token that only this process knows, without the
	// receiver, and without a say about documents that it is not asked to run.
	Standalone bool
	// User is who asks a standalone engine; identity.Local unless set.
	User string
	// Hold keeps the worker from starting, so that no run goes on before Work is
	// called. Runs can be looked at, started and cancelled meanwhile.
	Hold bool
}

// Engine is a running engine.
type Engine struct {
	config Config
	log    *slog.Logger
	token  string

	server        *server
	health        *health
	metrics       *metrics.Metrics
	audit         *audit.Log
	windows       *windows
	halt          *halt.Switch
	conns         *actions.Connections
	catalog       *actions.Catalog
	faults        *chaos.Catalog
	artefacts     store
	documents     *documents
	alertmanagers alertmanagerapi.Peers
	hub           *runs.Hub
	runs          *runs.Service
	drills        *gamedays.Service
	attendance    *gamedays.Attendance
	schedules     *gamedays.Schedules
	injections    injections
	reconciler    *reconcile.Reconciler // nil where it is turned off
	ledger        *admission.Client
	brief         atomic.Pointer[ledger.Brief] // what the ledger said last
	fatal         chan error

	client       client.Client
	stopTemporal func()
	worker       worker.Worker
	interrupt    context.CancelFunc // of the actions under way
}

// New opens everything that the config names and returns when the engine is
// ready: it serves HTTP, its documents are valid, Temporal answers and the
// worker works. The caller must Close it.
func New(ctx context.Context, c Config, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{config: c, log: o.Log, metrics: metrics.New(version.Version()), hub: runs.NewHub(), fatal: make(chan error, 1)}
	e.health = newHealth(e.metrics, e.log)
	e.windows = newWindows(c, e.log)
	e.metrics.Register(e.windows)
	if err := e.open(ctx, o); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) open(ctx context.Context, o Options) error {
	for _, step := range []func() error{
		func() error { return e.listen(o) },
		func() error { return e.openConnections() },
		func() error { return e.openArtefacts() },
		func() error { return e.openDocuments(o) },
		func() error { return e.openAudit() },
		func() error { e.halt = halt.Open(string(e.config.DataDir), e.log); return nil },
		func() error { return e.openTemporal(ctx) },
		func() error { return e.openLedger() },
		func() error { return e.workUnless(o.Hold) },
		func() error { return e.route(ctx, o) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return e.health.begin(ctx)
}

func (e *Engine) listen(o Options) (err error) {
	auth := identity.New(e.config.Auth, e.config.TLS.ClientCAFile != "", e.log)
	if o.Standalone {
		e.token = rand.Text()
		auth = identity.NewForToken(cmp.Or(o.User, identity.Local), e.token, e.log)
		e.config.Listen, e.config.TLS = "127.0.0.1:0", TLS{}
	} else if err := errors.Join(e.config.checkListen(), e.config.Auth.Check(), e.config.Auth.CheckSecrets()); err != nil {
		return &ConfigError{err}
	}
	e.server, err = listen(e.config, auth, e.health.Ready, e.log)
	return err
}

func (e *Engine) openConnections() (err error) {
	e.conns, e.catalog, err = e.config.Connections.open()
	if err != nil {
		return err
	}
	e.faults = faults.Catalog(e.conns)
	names, err := e.config.alertmanagers(e.conns)
	if err != nil {
		return err
	}
	e.alertmanagers, err = e.config.Connections.alertmanagers(names)
	return err
}

func (e *Engine) openDocuments(o Options) error {
	e.documents = &documents{
		options: runbooks.Options{Catalog: e.catalog, Connections: e.conns, Windows: e.config.windowNames()},
		faults:  e.faults, admit: admitted(len(e.alertmanagers) > 0), metrics: e.metrics, log: e.log,
	}
	if o.Standalone {
		e.documents.admit = everything
	}
	for _, path := range e.config.Runbooks {
		e.documents.paths = append(e.documents.paths, string(path))
	}
	return e.documents.openWatched()
}

func (e *Engine) openAudit() (err error) {
	file := cmp.Or(string(e.config.Audit.File), filepath.Join(string(e.config.DataDir), auditName))
	e.audit, err = audit.Open(file)
	return err
}

func (e *Engine) openTemporal(ctx context.Context) (err error) {
	handler, err := e.metrics.TemporalSDK(e.log)
	if err != nil {
		return err
	}
	e.client, e.stopTemporal, err = dialTemporal(ctx, e.config, handler, e.log)
	if err != nil {
		return err
	}
	e.health.ask = func(ctx context.Context) error { return askTemporal(ctx, e.client) }
	e.runs = runs.New(e.client, e.hub, e.config.Temporal.TaskQueue)
	e.drills = gamedays.New(e.client, e.config.Temporal.TaskQueue)
	e.attendance = gamedays.NewAttendance(e.drills, e.server.url(), e.log)
	e.schedules = gamedays.NewSchedules(e.client, e.config.Temporal.TaskQueue, gamedays.SchedulesOptions{
		Set: e.documents.Gamedays, Missed: e.missedDrills, File: filepath.Join(string(e.config.DataDir), missedName), Log: e.log,
	})
	e.metrics.Register(underWay{client: e.client, log: e.log}, missedRuns{e.schedules}, &e.injections)
	return nil
}

func (e *Engine) workUnless(hold bool) error {
	if hold {
		e.runs.Hold(true)
		return nil
	}
	return e.Work()
}

// Work starts the worker: runs that are under way go on.
func (e *Engine) Work() error {
	acting, interrupt := context.WithCancel(context.Background())
	e.interrupt = interrupt
	options := workflows.WorkerOptions(acting)
	options.MaxConcurrentActivityExecutionSize = maxActivities
	options.OnFatalError = func(err error) {
		select {
		case e.fatal <- fmt.Errorf("the worker can not go on: %w", err):
		default:
		}
	}
	w := worker.New(e.client, e.config.Temporal.TaskQueue, options)
	workflows.Register(w, &workflows.Activities{
		Catalog: e.catalog, Evaluator: runbooks.NewEvaluator(e.catalog), Audit: e.audit, Alertmanagers: e.alertmanagers.Names(),
		Windows: e.windows.open, Changed: e.hub.Changed, Concluded: newRecorder(e.metrics, e.log).concluded,
		Halted: e.halted, Ledger: e.ledger, Autonomy: e.judge().autonomy, Tries: e.attendance.Tries, Firing: e.firing, Guards: e.config.Guards.Each, Notices: e.config.Notices.Severity,
		Link: cmp.Or(e.config.ExternalURL, e.server.url()),
	})
	workflows.RegisterLedger(w)
	workflows.RegisterPages(w, e.pages())
	drills.Register(w, e.drillActivities())
	if err := w.Start(); err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	e.worker = w
	e.runs.Hold(false)
	return nil
}

// halted is why nothing may be done now, or "".
func (e *Engine) halted() string {
	if h := e.halt.State(); h != nil {
		return fmt.Sprintf("halted by %s: %s", h.By, h.Reason)
	}
	return ""
}

// maxActivities is more than the SDK's 1,000, because each page that waits for
// people is one: they must not leave runs without a place.
const maxActivities = 10_000

// pages are kept by this engine. A standalone one ends with its run, and posts
// what must last without it.
func (e *Engine) pages() *workflows.Pages {
	p := &workflows.Pages{Alertmanagers: e.alertmanagers, Audit: e.audit}
	if e.token != "" {
		p.Lasts = 24 * time.Hour
	}
	return p
}

// URL is where the engine serves.
func (e *Engine) URL() string { return e.server.url() }

// Token is what a request to a standalone engine must bear.
func (e *Engine) Token() string { return e.token }

// Run keeps the engine up to date, with its documents and with Temporal, until
// ctx ends or the engine can not go on. It does not close the engine.
func (e *Engine) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer e.health.stop()
	go e.documents.watch(ctx)
	go e.health.follow(ctx)
	go e.halt.Run(ctx)
	go e.heed(ctx)
	go e.reachSystems(ctx)
	go e.reconcile(ctx)
	go e.attendance.Run(ctx)
	go e.janitor(ctx)
	if e.token == "" { // one person who acts now keeps no schedules
		go e.schedules.Run(ctx)
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-e.fatal:
		return err
	case err := <-e.server.failed:
		return err
	}
}

// reachSystems opens the connections ahead of the first incident: a database
// that is full lets nobody in.
func (e *Engine) reachSystems(ctx context.Context) {
	if err := e.conns.Open(ctx); err != nil && ctx.Err() == nil {
		e.log.Warn("a connection can not be opened now; it is tried again when a runbook needs it", "error", err)
	}
}

// Reload reads the documents again, as a signal or a change of a file does.
func (e *Engine) Reload(why string) error { return e.documents.reload(why) }

// Close stops the engine: requests and actions under way get a little time, runs
// go on when it starts again.
func (e *Engine) Close() {
	e.health.stop()
	if e.server != nil {
		e.complain("stop the HTTP server", e.server.stop())
	}
	if e.worker != nil {
		e.worker.Stop()
	}
	e.closeTemporal()
	e.alertmanagers.Close()
	e.conns.Close()
	if e.artefacts != nil {
		e.complain("close the store of artefacts", e.artefacts.Close())
	}
	e.complain("stop watching the runbooks", e.documents.close())
	e.complain("close the audit file", e.audit.Close())
}

// closeTemporal ends an action that is still under way only when nobody can be
// told any more: it is taken up again, and did not fail.
func (e *Engine) closeTemporal() {
	if e.client != nil {
		e.client.Close()
	}
	if e.interrupt != nil {
		e.interrupt()
	}
	if e.stopTemporal != nil {
		e.stopTemporal()
	}
}

func (e *Engine) complain(what string, err error) {
	if err != nil {
		e.log.Error(what, "error", err)
	}
}
