package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

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
unless its config names a cluster. SIGHUP reloads the runbooks.`,
		Example: `  runbook serve --config /etc/runbook/runbook.yaml
  runbook serve --runbooks ./runbooks --listen 127.0.0.1:7250 --data-dir ./data`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.serve(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.config, "config", "", "the engine's config `FILE`")
	cmd.Flags().StringSliceVar(&f.runbooks, "runbooks", nil, "a `PATH` with runbooks, besides those of the config; repeat for more")
	cmd.Flags().StringVar(&f.listen, "listen", "", "`ADDRESS` to serve on (default "+engine.DefaultListen+")")
	cmd.Flags().StringVar(&f.dataDir, "data-dir", "", "`DIR` of the engine's own state (default runbook-data)")
	return cmd
}

func (p *program) serve(ctx context.Context, f serveFlags) error {
	config, err := p.serveConfig(f)
	if err != nil {
		return err
	}
	engine.TuneMemory()
	log := config.Logger(p.err)
	e, err := engine.New(ctx, config, engine.Options{Log: log})
	if err != nil {
		return p.explain(err, string(config.DataDir))
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

// serveConfig is the config file with what the flags say on top.
func (p *program) serveConfig(f serveFlags) (engine.Config, error) {
	config := engine.DefaultConfig()
	if f.config != "" {
		read, err := p.readConfig(f.config)
		if err != nil {
			return config, err
		}
		config = read
	}
	if f.config == "" && len(f.runbooks) == 0 {
		return config, usage("serve needs --config FILE or --runbooks DIR")
	}
	for _, path := range f.runbooks {
		config.Runbooks = append(config.Runbooks, engine.Path(path))
	}
	if f.listen != "" {
		config.Listen = f.listen
	}
	if f.dataDir != "" {
		setDataDir(&config, f.dataDir, true)
	}
	return config, nil
}
