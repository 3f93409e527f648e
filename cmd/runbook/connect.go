package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/internal/temporalserver"
)

// reach says where the engine is: a server, or this process.
type reach struct {
	credentials
	server          string
	config, dataDir string
	runbooks        []string
	documents       bool // the command needs them
	cmd             *cobra.Command
}

// reachFlags are for commands about runs, which need no documents: one that is
// not valid is not in the way.
func reachFlags(cmd *cobra.Command) *reach {
	r := &reach{cmd: cmd}
	cmd.Flags().StringVar(&r.server, "server", "", "`URL` of the engine; RUNBOOK_SERVER unless set; \"\" for none")
	r.credentials.flags(cmd)
	cmd.Flags().StringVar(&r.config, "config", "", "without a server: the engine's config `FILE`; RUNBOOK_CONFIG unless set")
	cmd.Flags().StringVar(&r.dataDir, "data-dir", "", "without a server: `DIR` of the state; RUNBOOK_DATA_DIR, else that of the config, else your state folder")
	cmd.PreRunE = func(*cobra.Command, []string) error { return r.check() }
	return r
}

// documentFlags are for commands about runbooks.
func documentFlags(cmd *cobra.Command) *reach {
	r := reachFlags(cmd)
	r.documents = true
	cmd.Flags().StringSliceVar(&r.runbooks, "runbooks", nil, "without a server: a `PATH` with runbooks, besides those of the config; repeat for more")
	return r
}

// localFlags say how to work without a server.
var localFlags = []string{"config", "runbooks", "data-dir"}

func (r *reach) check() error {
	for _, name := range localFlags {
		if r.server != "" && r.cmd.Flags().Changed(name) {
			return usage("--%s is for working without a server; leave out --server or --%[1]s", name)
		}
	}
	return nil
}

var errNoDocuments = usage("say where the runbooks are: --server URL, --config FILE or --runbooks PATH")

// hasDocuments reports that it is said where they are.
func (r *reach) hasDocuments(p *program) bool {
	return len(r.runbooks) > 0 || r.hasConfig(p)
}

func (r *reach) hasConfig(p *program) bool { return r.config != "" || p.env("RUNBOOK_CONFIG") != "" }

// url is that of the server, empty without one. A flag that says how to work
// without a server counts more than the environment.
func (r *reach) url(p *program) string {
	for _, name := range localFlags {
		if r.cmd.Flags().Changed(name) {
			return ""
		}
	}
	if r.cmd.Flags().Changed("server") {
		return r.server
	}
	return p.env("RUNBOOK_SERVER")
}

// connection is an engine to ask.
type connection struct {
	*client.Client
	engine  *engine.Engine // nil with a server
	dataDir string
	again   string // flags by which another command reaches the same engine
	stop    func()
	fatal   chan error // why the engine in this process can not go on
}

// command is what to type next about a run.
func (c *connection) command(verb, id string) string {
	switch verb {
	case "approve", "deny":
		return "runbook " + verb + " " + id + c.again + " --reason TEXT"
	case "cancel":
		return "runbook runs cancel " + id + c.again + " --reason TEXT"
	default:
		return "runbook runs " + verb + " " + id + c.again
	}
}

func (c *connection) standalone() bool { return c.engine != nil }

// work lets the engine in this process carry out runs.
func (c *connection) work() error {
	if c.engine == nil {
		return nil
	}
	return c.engine.Work()
}

// connect reaches the engine. One in this process is held: nothing runs before
// work is called.
func (r *reach) connect(ctx context.Context, p *program) (*connection, error) {
	if url := r.url(p); url != "" {
		return r.remote(p, url)
	}
	return r.local(ctx, p)
}

func (r *reach) remote(p *program, url string) (*connection, error) {
	token, err := r.token(p)
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	transport, err := r.transport(p, url)
	if err != nil {
		return nil, err
	}
	c, err := client.New(url, client.Options{Token: token, HTTP: transport, Halted: p.tellHalted(r)})
	if err != nil {
		return nil, &failure{exitUsage, err}
	}
	return &connection{Client: c, again: r.again(), stop: func() {}}, nil
}

// again is the flags that were given, for commands that are suggested.
func (r *reach) again() string {
	var flags string
	for _, name := range append([]string{"server", "config", "data-dir"}, credentialFlags...) {
		if f := r.cmd.Flags().Lookup(name); f.Changed {
			flags += " --" + name + " " + f.Value.String()
		}
	}
	return flags
}

func (r *reach) local(ctx context.Context, p *program) (*connection, error) {
	config, err := r.settings(p)
	if err != nil {
		return nil, err
	}
	dir := string(config.DataDir)
	log := &lumberjack.Logger{Filename: filepath.Join(dir, "standalone.log"), MaxSize: 10, MaxBackups: 3}
	e, err := engine.New(ctx, config, engine.Options{Log: config.Logger(log), Standalone: true, Hold: true, User: person(p)})
	if err != nil {
		return nil, errors.Join(p.explain(err, dir), log.Close())
	}
	c, err := client.New(e.URL(), client.Options{Token: e.Token(), Halted: p.tellHalted(r)})
	if err != nil {
		e.Close()
		return nil, err
	}
	out := &connection{Client: c, engine: e, dataDir: dir, again: r.again(), fatal: make(chan error, 1)}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	go func() { out.fatal <- e.Run(running) }()
	out.stop = func() {
		end()
		e.Close()
		if err := log.Close(); err != nil {
			slog.Debug("close the log", "error", err)
		}
	}
	return out, nil
}

// person is who sits here, also behind sudo.
func person(p *program) string {
	if name := p.env("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return cmp.Or(p.env("USER"), "local")
}

// settings is the config of an engine in this process. Its Temporal is its own
// whatever the config says: this is the way that works when all else is down.
func (r *reach) settings(p *program) (engine.Config, error) {
	config := engine.DefaultConfig()
	file := cmp.Or(r.config, p.env("RUNBOOK_CONFIG"))
	dir := cmp.Or(r.dataDir, p.env("RUNBOOK_DATA_DIR"))
	if file != "" {
		read, err := p.readConfig(file)
		if err != nil {
			return config, err
		}
		read.Temporal = config.Temporal
		config, dir = read, cmp.Or(dir, string(read.DataDir))
	}
	if dir == "" {
		var err error
		if dir, err = stateDir(p.env); err != nil {
			return config, &failure{exitUsage, err}
		}
	}
	named := r.dataDir != "" || p.env("RUNBOOK_DATA_DIR") != ""
	setDataDir(&config, dir, file == "" || named)
	if !r.documents {
		if _, err := os.Stat(dir); named && file == "" && errors.Is(err, fs.ErrNotExist) {
			return config, usage("no engine has worked in %s: there is no such folder", dir)
		}
		config.Runbooks = nil
	}
	for _, path := range r.runbooks {
		config.Runbooks = append(config.Runbooks, engine.Path(path))
	}
	return config, nil
}

// stateDir is where programs of this person keep their state:
// https://specifications.freedesktop.org/basedir-spec/latest/
func stateDir(env func(string) string) (string, error) {
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "runbook"), nil
	}
	home, below := env("HOME"), []string{".local", "state"}
	switch runtime.GOOS {
	case "darwin":
		below = []string{"Library", "Application Support"}
	case "windows":
		home, below = env("LocalAppData"), nil
	}
	if home == "" {
		return "", errors.New("no home folder to keep the state in; say where with --data-dir")
	}
	return filepath.Join(append(append([]string{home}, below...), "runbook")...), nil
}

// explain says why there is no engine in this process, and what to do.
func (p *program) explain(err error, dir string) error {
	var found *diag.Error
	switch {
	case errors.As(err, &found):
		shown := sourcesOf(found.Problems)
		err := p.problems(found.Problems, shown)
		if len(shown) > 1 {
			p.note("nothing was started: %d problems in %d files; --runbooks FILE works with one of them alone", len(found.Problems), len(shown))
		}
		return err
	case errors.As(err, new(*engine.ConfigError)), errors.Is(err, fs.ErrNotExist):
		return &failure{exitUsage, err}
	case errors.Is(err, temporalserver.ErrInUse):
		return &failure{exitUnreachable, fmt.Errorf("another runbook works on %s: %w\n"+
			"reach it with --server URL if it serves, else wait until it has ended", dir, err)}
	}
	return &failure{exitUnreachable, err}
}
