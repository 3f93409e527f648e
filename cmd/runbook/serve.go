package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/engine"
)

type serveFlags struct {
	config, listen, dataDir string
	runbooks                []string
}

func (p *program) serveCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Receive alerts and act on them",
		Long: `Receive Alertmanager's notifications at POST /webhook/alertmanager, find the
runbook for each alert, and carry it out. The engine embeds a Temporal server
unless its config names a cluster.`,
		Example: `  runbook serve --config /etc/runbook/runbook.yaml
  runbook serve --runbooks ./runbooks --listen 127.0.0.1:7250 --data-dir ./data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.config, "config", "", "the engine's config file")
	cmd.Flags().StringSliceVar(&f.runbooks, "runbooks", nil, "files and folders with runbooks")
	cmd.Flags().StringVar(&f.listen, "listen", "", "address to serve on (default "+engine.DefaultListen+")")
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "", "folder of the engine's own state")
	return cmd
}

func (p *program) serve(ctx context.Context, f serveFlags) error {
	config, err := p.config(f)
	if err != nil {
		return err
	}
	log := config.Logger(p.err)
	e, err := engine.New(ctx, config, engine.Options{Log: log})
	if err != nil {
		return &failure{exitUnreachable, err}
	}
	defer e.Close()
	go reloadOnHangup(ctx, e)
	if err := e.Run(ctx); err != nil {
		return &failure{exitUnreachable, err}
	}
	return nil
}

func reloadOnHangup(ctx context.Context, e *engine.Engine) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			// The engine logs what is wrong and keeps the documents that it has.
			_ = e.Reload("signal")
		}
	}
}

// config is the config file with what the flags say on top.
func (p *program) config(f serveFlags) (engine.Config, error) {
	config := engine.DefaultConfig()
	if f.config != "" {
		read, sources, problems := engine.LoadConfig(f.config)
		if len(problems) > 0 {
			return config, p.problems(problems, sources)
		}
		config = read
	}
	if f.config == "" && len(f.runbooks) == 0 {
		return config, &failure{exitUsage, errors.New("serve needs --config FILE or --runbooks DIR")}
	}
	for _, path := range f.runbooks {
		config.Runbooks = append(config.Runbooks, engine.Path(path))
	}
	if f.listen != "" {
		config.Listen = f.listen
	}
	if f.dataDir != "" {
		config.DataDir = engine.Path(f.dataDir)
		config.Audit.File = engine.Path(filepath.Join(f.dataDir, "audit.jsonl"))
	}
	return config, nil
}

// problems prints what is wrong with documents; the exit code says that there
// was something.
func (p *program) problems(problems diag.List, sources diag.Sources) error {
	if err := diag.WriteText(p.err, problems, sources); err != nil {
		return err
	}
	return &failure{code: exitNotFixed}
}
