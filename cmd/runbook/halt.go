package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/terminal"
	"github.com/runbook-engine/runbook/internal/version"
)

func (p *program) haltCommand() *cobra.Command {
	var r *reach
	var output *choice
	var request api.HaltRequest
	cmd := &cobra.Command{
		Use:   "halt --reason TEXT",
		Short: "Stop everything, now",
		Long: `Stop everything: within a second no run begins a step any more, on any engine, and
what is queued stays queued. Runs do not end; what an action has begun is left to
end, and verifications go on looking. It holds until runbook resume, or for as
long as --for says. A halt that lasts longer already is not shortened: resume first.

It works when Temporal is down. When no server answers either, say --config or
--data-dir on the engine's own machine: the switch is written into its data
directory, where the engine finds it, also when it starts again.`,
		Example: `  runbook halt --reason "remedies make it worse"
  runbook halt --reason "database migration" --for 2h
  runbook halt --reason "no server answers" --config /etc/runbook/runbook.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.turnSwitch(cmd.Context(), r, output.value, turn{
				ask:  func(ctx context.Context, c *client.Client) (api.Status, error) { return c.Halt(ctx, request) },
				here: func(s *halt.Switch, by string) (string, error) { return haltHere(s, by, request) },
				line: audit.Entry{Reason: request.Reason, Decision: "halt " + request.For},
			})
		},
	}
	r = reachFlags(cmd)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "`TEXT` for everybody who meets it: why")
	cmd.Flags().StringVar(&request.For, "for", "", "end by itself after a `DURATION` such as 2h")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is not there
	}
	return cmd
}

func (p *program) resumeCommand() *cobra.Command {
	var r *reach
	var output *choice
	var request api.ResumeRequest
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Let everything go on after a halt",
		Long: `Let everything go on after a halt: runs take up where they stood still. It needs the
role admin. With --config or --data-dir the switch in the engine's data directory
is turned, also one that can not be read any more.`,
		Example: `  runbook resume --reason "the migration is done"
  runbook resume --config /etc/runbook/runbook.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.turnSwitch(cmd.Context(), r, output.value, turn{
				ask:  func(ctx context.Context, c *client.Client) (api.Status, error) { return c.Resume(ctx, request) },
				here: func(s *halt.Switch, by string) (string, error) { return "", s.Resume(by, request.Reason) },
				line: audit.Entry{Reason: request.Reason, Decision: "resume"},
			})
		},
	}
	r = reachFlags(cmd)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&request.Reason, "reason", "", "`TEXT` for the record: why")
	return cmd
}

// turn is one use of the kill switch: through an engine, or in its data
// directory.
type turn struct {
	ask  func(context.Context, *client.Client) (api.Status, error)
	here func(s *halt.Switch, by string) (warning string, err error)
	line audit.Entry
}

// turnSwitch asks the server. Where none answers and the environment says where
// its state is, the switch is turned there.
func (p *program) turnSwitch(ctx context.Context, r *reach, output string, t turn) error {
	p.told.Do(func() {}) // the output says it
	url := r.url(p)
	local := r.config != "" || r.dataDir != "" || p.env("RUNBOOK_CONFIG") != "" || p.env("RUNBOOK_DATA_DIR") != ""
	if url == "" && !local {
		return errWhichEngine
	}
	if url == "" {
		return p.turnHere(r, output, t)
	}
	c, err := r.remote(p, url)
	if err != nil {
		return err
	}
	status, err := t.ask(ctx, c.Client)
	var lost *client.Unreachable
	switch {
	case errors.As(err, &lost) && local && !r.cmd.Flags().Changed("server"):
		p.note("%v; turning the switch in its data directory", err)
		return p.turnHere(r, output, t)
	case errors.As(err, &lost):
		return fmt.Errorf("%w\non the engine's own machine it works without the server: --config FILE or --data-dir DIR", err)
	case err != nil:
		return err
	}
	return p.showStatus(status, output)
}

func (p *program) turnHere(r *reach, output string, t turn) error {
	config, err := r.settings(p)
	if err != nil {
		return err
	}
	dir := string(config.DataDir)
	if _, err := os.Stat(dir); err != nil {
		return usage("there is no engine's data directory: %w", err)
	}
	s := halt.Open(dir, slog.New(slog.DiscardHandler))
	t.line.Actor = person(p)
	warning, err := t.here(s, t.line.Actor)
	if err != nil {
		return err
	}
	status := api.Status{Name: "engine", Version: version.Version(), Halt: s.State()}
	if warning != "" {
		status.Warnings = append(status.Warnings, warning)
	}
	if err := recordHere(config, t.line); err != nil {
		status.Warnings = append(status.Warnings, err.Error())
	}
	return p.showStatus(status, output)
}

func haltHere(s *halt.Switch, by string, request api.HaltRequest) (warning string, err error) {
	if strings.TrimSpace(request.Reason) == "" {
		return "", usage("--reason needs a reason in words")
	}
	until := time.Time{}
	if request.For != "" {
		d, err := model.ParseDuration(request.For)
		if err != nil || d <= 0 {
			return "", usage("--for needs a duration such as 30m or 2h, not %q", request.For)
		}
		until = time.Now().Add(time.Duration(d))
	}
	holds, err := s.Halt(by, request.Reason, until)
	return halt.NotShortened(until, holds), err
}

// recordHere adds to the engine's own audit file, and does not make one: it
// would belong to whoever sits here.
func recordHere(config engine.Config, line audit.Entry) error {
	line.Kind, line.Decision = audit.Switched, strings.TrimSpace(line.Decision)
	if _, err := os.Stat(string(config.Audit.File)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no audit file %s, so this is not recorded", config.Audit.File)
	}
	record, err := audit.Open(string(config.Audit.File))
	if err != nil {
		return err
	}
	return errors.Join(record.Write(line), record.Close())
}

func (p *program) showStatus(status api.Status, output string) error {
	for _, w := range status.Warnings {
		p.note("warning: %s", w)
	}
	if output == "json" {
		return p.json(status)
	}
	lines := []string{"not halted"}
	if status.Halt != nil {
		lines = []string{terminal.Halt(*status.Halt, time.Now())}
	}
	if status.Storm != nil {
		lines = append(lines, terminal.Storm(*status.Storm, time.Now()))
	}
	return p.screen().Print(lines...)
}

// tellHalted says at the top of a command's output, beside it, that the engine
// is halted.
func (p *program) tellHalted(r *reach) func(*ledger.Halt) {
	return func(h *ledger.Halt) {
		p.told.Do(func() {
			p.note("%s; go on: runbook resume%s", terminal.Halt(*h, time.Now()), cmp.Or(r.again(), ""))
		})
	}
}
