package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/terminal"
)

func (p *program) gamedayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gameday",
		Short: "Inject real faults, and prove that runbooks answer them",
		Long: `Inject real faults, and prove that runbooks answer them: that the alert fires in time,
that the right runbook runs, and that it is what fixes the system. A game day is a
document, as a runbook is; playing it once is a drill.`,
	}
	cmd.AddCommand(p.listGamedaysCommand(), p.planGamedayCommand(), p.runGamedayCommand(), p.drillsCommand(), p.reportCommand(),
		p.abortDrillCommand(), p.settleDrillCommand(), p.healCommand(), p.scheduleCommand())
	return cmd
}

func (p *program) listGamedaysCommand() *cobra.Command {
	return p.lookCommand(&cobra.Command{
		Use: "list", Short: "List the game days that are loaded", Example: "  runbook gameday list",
	}, documentFlags, func(ctx context.Context, c *connection, output string) error {
		list, err := c.Gamedays(ctx)
		return p.table(err, output, list, len(list), "no game days are loaded", []string{"GAME DAY", "PROVES", "SCHEDULE", "SUMMARY"}, func(i int) []string {
			return []string{list[i].Name, list[i].Proves, list[i].Schedule, list[i].Summary}
		})
	})
}

func (p *program) drillsCommand() *cobra.Command {
	var f gamedays.Filter
	cmd := p.lookCommand(&cobra.Command{
		Use: "drills", Short: "List drills, newest first", Example: "  runbook gameday drills --running",
	}, reachFlags, func(ctx context.Context, c *connection, output string) error {
		list, err := c.Drills(ctx, f)
		return p.table(err, output, list, len(list), "there were no drills", []string{"STARTED", "DRILL", "VERDICT", "WHY"}, func(i int) []string {
			return []string{terminal.Ago(list[i].StartedAt, time.Now()), list[i].ID, cmp.Or(list[i].Verdict, list[i].Status), list[i].Reason}
		})
	})
	cmd.Flags().StringVar(&f.Gameday, "gameday", "", "only drills of the game day `NAME`")
	cmd.Flags().BoolVar(&f.Running, "running", false, "only drills under way")
	cmd.Flags().IntVar(&f.Limit, "limit", 20, "at most `N` drills")
	return cmd
}

const planText = `Print what a game day would meet now: the targets, the limits, each probe, what fires,
the alert's route and the runbook. Nothing is injected. The game day is the name of
one that the engine has loaded, or a file.`

func (p *program) planGamedayCommand() *cobra.Command {
	var r *reach
	var output *choice
	var d api.Drill
	cmd := &cobra.Command{
		Use: "plan NAME|FILE", Short: "Print what a game day would meet now", Long: planText,
		Example: "  runbook gameday plan orders-pool-exhaustion\n  runbook gameday plan gamedays/pool.yaml -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withDrill(cmd.Context(), r, args[0], &d, func(ctx context.Context, c *connection) error {
				survey, err := c.PlanDrill(ctx, d)
				if err != nil {
					return err
				}
				return p.showSurvey(survey, output.value)
			})
		},
	}
	r = documentFlags(cmd)
	output = outputFlag(cmd, "text", "json")
	return cmd
}

// withDrill connects, and reads the document where a file is meant.
func (p *program) withDrill(ctx context.Context, r *reach, meant string, d *api.Drill, do func(context.Context, *connection) error) error {
	d.Gameday = meant
	if text, err := os.ReadFile(meant); err == nil {
		if len(bytes.TrimSpace(text)) == 0 {
			return usage("read the game day: %s is empty", meant)
		}
		d.Gameday, d.Document, d.File = "", string(text), meant
	} else if !errors.Is(err, os.ErrNotExist) || strings.ContainsAny(meant, `/\.`) {
		return usage("read the game day: %w", err)
	}
	c, err := r.find(ctx, p)
	if err != nil {
		return err
	}
	defer c.stop()
	if err := c.workIfIdle(ctx); err != nil {
		return err
	}
	return do(ctx, c)
}

func (p *program) showSurvey(s api.Survey, output string) error {
	if output == "json" {
		return p.json(s)
	}
	fmt.Fprintf(p.out, "%s: %s\n", s.Plan.Gameday, s.Plan.Summary)
	for _, f := range s.Plan.Faults {
		fmt.Fprintf(p.out, "  %-8s %s %s for %s\n", f.ID, f.Inject, f.With, f.For)
	}
	rows := make([][]string, len(s.Checks))
	ready := true
	for i, c := range s.Checks {
		rows[i] = []string{string(c.State), c.Name, c.Text}
		ready = ready && c.Passed()
	}
	if err := p.screen().Table([]string{"", "CHECK", ""}, rows); err != nil {
		return err
	}
	if !ready {
		fmt.Fprintln(p.out, "it would not begin")
		return &failure{code: exitRefused}
	}
	fmt.Fprintf(p.out, "it would begin; nothing was injected. It is watched for %s at most.\n", s.Plan.Watch)
	return nil
}

// tell is what one command says of a drill or of a schedule, with a reason.
type tell func(ctx context.Context, c *connection, name, reason string) error

// tellDrill is a command that ends something of a drill, with a reason.
func (p *program) tellDrill(cmd *cobra.Command, do tell, said string) *cobra.Command {
	return p.withReason(cmd, func(ctx context.Context, c *connection, named, reason string) (string, error) {
		id, err := c.findDrill(ctx, named)
		if err != nil {
			return "", err
		}
		return id, do(ctx, c, id, reason)
	}, said)
}

// withReason is a command about one thing, which needs a reason. Do gives its
// name in full, of which said tells what came of it.
func (p *program) withReason(cmd *cobra.Command, do func(ctx context.Context, c *connection, named, reason string) (string, error), said string) *cobra.Command {
	var r *reach
	var reason string
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := r.find(cmd.Context(), p)
		if err != nil {
			return err
		}
		defer c.stop()
		name, err := do(cmd.Context(), c, args[0], reason)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, said+"\n", name)
		return err
	}
	r = reachFlags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` for the record: why")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is not there
	}
	return cmd
}

func (p *program) abortDrillCommand() *cobra.Command {
	return p.tellDrill(&cobra.Command{
		Use: "abort DRILL --reason TEXT", Short: "Stop a drill, and heal everything",
		Example: `  runbook gameday abort last --reason "a customer calls"`,
	}, func(ctx context.Context, c *connection, id, reason string) error {
		return c.AbortDrill(ctx, id, reason)
	}, "%s heals, and ends as aborted")
}

func (p *program) settleDrillCommand() *cobra.Command {
	return p.tellDrill(&cobra.Command{
		Use: "settle DRILL --reason TEXT", Short: "Say that you have healed by hand what a drill could not",
		Long: `Say that you have healed by hand what a drill could not. Its verdict stays heal_failed:
that it is healed is then your word, and not proven.`,
		Example: `  runbook gameday settle last --reason "restarted the proxy"`,
	}, func(ctx context.Context, c *connection, id, reason string) error {
		return c.SettleDrill(ctx, id, reason)
	}, "%s takes your word for it")
}

// findDrill is the drill that is meant: an id, or last.
func (c *connection) findDrill(ctx context.Context, meant string) (string, error) {
	if meant != "last" {
		return meant, nil
	}
	rows, err := c.Drills(ctx, gamedays.Filter{Limit: 1})
	if err != nil {
		return "", err
	}
	if len(rows) == 0 {
		return "", usage("there were no drills")
	}
	return rows[0].ID, nil
}

// errNoSystems keeps a look at nothing from being taken for good news.
var errNoSystems = usage("say in which systems to look: --server URL, or --config FILE with their connections")

func (p *program) healCommand() *cobra.Command {
	var r *reach
	var output *choice
	var all bool
	cmd := &cobra.Command{
		Use:   "heal [--all]",
		Short: "End faults that are still in the systems",
		Long: `End faults that are still in the systems, whoever injected them: those past their
deadline, or with --all every fault of ours, and then the drills under way are aborted. It
asks the systems themselves, and needs neither a drill nor its memory. Each is read back
to be gone.`,
		Example: "  runbook gameday heal\n  runbook gameday heal --all",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.url(p) == "" && !r.hasConfig(p) {
				return errNoSystems
			}
			c, err := r.connect(cmd.Context(), p)
			if err != nil {
				return err
			}
			defer c.stop()
			healing, err := c.Heal(cmd.Context(), all)
			if err != nil {
				return err
			}
			return p.showHealing(healing, all, output.value)
		},
	}
	r = documentFlags(cmd)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().BoolVar(&all, "all", false, "also those that are not past their deadline")
	return cmd
}

func (p *program) showHealing(h api.Healing, all bool, output string) error {
	if output == "json" {
		if err := p.json(h); err != nil {
			return err
		}
	} else {
		for _, s := range h.Swept {
			fmt.Fprintln(p.out, healedText(s.String(), s.Error))
		}
		switch {
		case len(h.Swept) > 0 || h.Error != "":
		case all:
			fmt.Fprintln(p.out, "there was nothing to heal")
		default:
			fmt.Fprintln(p.out, "no fault is past its deadline; --all ends the others too")
		}
	}
	if h.Error != "" {
		return fmt.Errorf("not everything is healed: %s", h.Error)
	}
	return nil
}

func healedText(what, failed string) string {
	if failed != "" {
		return "NOT healed: " + what + ": " + failed
	}
	return "healed: " + what
}
