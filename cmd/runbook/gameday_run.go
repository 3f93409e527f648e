package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/report"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/workflows/drills"
)

func (p *program) runGamedayCommand() *cobra.Command {
	var r *reach
	var d api.Drill
	var repeat int
	format := choice{value: "text", among: []string{"text", "json", "markdown", "html", "junit"}}
	control := choice{among: []string{"no_fault", "no_remedy"}}
	cmd := &cobra.Command{
		Use:   "run NAME|FILE",
		Short: "Play a game day",
		Long: `Play a game day, and print each moment as it is seen: injected, effect seen, alert,
webhook, run, first action, recovered, healed. Whatever happens, everything that was
injected is healed. Ctrl-C aborts the drill; it heals before it ends.

Exit codes: 0 passed or degraded; 1 failed or heal_failed; 4 inconclusive or aborted.`,
		Example: `  runbook gameday run orders-pool-exhaustion
  runbook gameday run gamedays/pool.yaml --repeat 5 -o html > report.html
  runbook gameday run orders-pool-exhaustion --control no_remedy`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if repeat < 1 || repeat > maxRepeat {
				return usage("--repeat must be from 1 to %d", maxRepeat)
			}
			d.Control = gameday.ControlRun(control.value)
			return p.withDrill(cmd.Context(), r, args[0], &d, func(ctx context.Context, c *connection) error {
				if c.standalone() {
					return usage("a game day needs an engine that serves, because its alert must come by the webhook; say --server URL")
				}
				return p.playDrills(ctx, c, d, repeat, format.value)
			})
		},
	}
	r = reachFlags(cmd)
	cmd.Flags().VarP(&format, "output", "o", "form of the output")
	mustComplete(cmd, "output", format.among...)
	cmd.Flags().Var(&control, "control", "a control run instead of the game day itself")
	mustComplete(cmd, "control", control.among...)
	cmd.Flags().IntVar(&repeat, "repeat", 1, "play it `N` times, and sum up")
	return cmd
}

const (
	maxRepeat  = 100
	drillEvery = 300 * time.Millisecond
)

func (p *program) playDrills(ctx context.Context, c *connection, d api.Drill, repeat int, format string) error {
	var results []report.Result
	for range repeat {
		drill, err := p.playDrill(ctx, c, d)
		if err != nil {
			return err
		}
		results = append(results, report.Result{Plan: drill.Plan, Evidence: drill.Evidence, Verdict: *drill.Verdict})
	}
	if format != "text" {
		if err := report.Write(p.out, report.Format(format), results...); err != nil {
			return err
		}
	} else if repeat > 1 {
		if err := report.Write(p.out, report.Markdown, results...); err != nil {
			return err
		}
	}
	return verdictExit(results)
}

// verdictExit is what the worst of the verdicts means to a script.
func verdictExit(results []report.Result) error {
	code := exitOK
	for _, r := range results {
		switch r.Verdict.Verdict {
		case verdict.Failed, verdict.HealFailed:
			return &failure{code: exitNotFixed}
		case verdict.Inconclusive, verdict.Aborted:
			code = exitRefused
		}
	}
	if code == exitOK {
		return nil
	}
	return &failure{code: code}
}

// playDrill starts one drill and follows it to its end. The first Ctrl-C aborts
// the drill; the next leaves it to heal by itself.
func (p *program) playDrill(ctx context.Context, c *connection, d api.Drill) (drills.Drill, error) {
	started, err := c.StartDrill(ctx, d)
	if err != nil {
		return drills.Drill{}, err
	}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	follow := &follower{p: p}
	for {
		drill, err := c.Drill(ctx, started.ID)
		if err != nil {
			return drill, fmt.Errorf("%w\n  the drill goes on: runbook gameday report %s", err, started.ID)
		}
		follow.show(drill)
		if drill.Phase == drills.Ended {
			return drill, nil
		}
		select {
		case <-ctx.Done():
			return drill, fmt.Errorf("the drill goes on: runbook gameday report %s", started.ID)
		case <-interrupts:
			fmt.Fprintln(p.err, "aborting; everything is healed first")
			if err := c.AbortDrill(ctx, started.ID, "Ctrl-C"); err != nil {
				return drill, err
			}
		case <-time.After(drillEvery):
		}
	}
}

// follower prints what is new of a drill.
type follower struct {
	p      *program
	began  bool
	checks int
	shown  map[verdict.Edge]bool
}

func (f *follower) show(d drills.Drill) {
	if !f.began {
		f.began, f.shown = true, map[verdict.Edge]bool{}
		fmt.Fprintf(f.p.err, "drill %s\n", d.ID)
	}
	for ; f.checks < len(d.Evidence.Preflight); f.checks++ {
		c := d.Evidence.Preflight[f.checks]
		fmt.Fprintf(f.p.err, "  %-7s %s: %s\n", c.State, c.Name, c.Text)
	}
	for _, e := range verdict.Judge(d.Plan, d.Evidence).Timeline {
		if f.shown[e] {
			continue
		}
		f.shown[e] = true
		fmt.Fprintf(f.p.err, "  %s  %s%s\n", sinceInjection(d, e.At), e.Name, foreign(e))
	}
	if d.Phase == drills.Ended && d.Verdict != nil {
		f.end(d)
	}
}

// sinceInjection is a time as the distance from the first fault.
func sinceInjection(d drills.Drill, at time.Time) string {
	if len(d.Evidence.Injections) == 0 {
		return at.Local().Format(time.TimeOnly)
	}
	return fmt.Sprintf("%+8.2fs", at.Sub(d.Evidence.Injections[0].Requested).Seconds())
}

func foreign(e verdict.Edge) string {
	if e.Foreign {
		return " (by " + e.Source + "'s clock)"
	}
	return ""
}

func (f *follower) end(d drills.Drill) {
	fmt.Fprintf(f.p.err, "%s", d.Verdict.Verdict)
	if d.Verdict.Because != "" {
		fmt.Fprintf(f.p.err, ", recovered because of: %s", d.Verdict.Because)
	}
	fmt.Fprintln(f.p.err)
	for _, r := range d.Verdict.Reasons {
		fmt.Fprintf(f.p.err, "  %s (%s)\n", r.Text, r.Code)
	}
	for _, n := range d.Evidence.Notes {
		fmt.Fprintf(f.p.err, "  note: %s\n", n)
	}
}

func (p *program) reportCommand() *cobra.Command {
	var r *reach
	format := choice{value: "markdown", among: []string{"markdown", "html", "json", "junit"}}
	cmd := &cobra.Command{
		Use: "report DRILL…", Short: "Print the report of a drill, or of several together",
		Example: "  runbook gameday report last\n  runbook gameday report last -o html > report.html",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.connect(cmd.Context(), p)
			if err != nil {
				return err
			}
			defer c.stop()
			var results []report.Result
			for _, meant := range args {
				id, err := c.findDrill(cmd.Context(), meant)
				if err != nil {
					return err
				}
				d, err := c.Drill(cmd.Context(), id)
				if err != nil {
					return err
				}
				if d.Verdict == nil {
					return usage("drill %s is under way, and has no verdict yet", id)
				}
				results = append(results, report.Result{Plan: d.Plan, Evidence: d.Evidence, Verdict: *d.Verdict})
			}
			return report.Write(p.out, report.Format(format.value), results...)
		},
	}
	r = reachFlags(cmd)
	cmd.Flags().VarP(&format, "output", "o", "form of the report")
	mustComplete(cmd, "output", format.among...)
	return cmd
}
