package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
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
	var play plays
	format := choice{value: "text", among: []string{"text", "json", "markdown", "html", "junit"}}
	control := choice{among: []string{"no_fault", "no_remedy"}}
	cmd := &cobra.Command{
		Use:   "run NAME|FILE",
		Short: "Play a game day",
		Long: `Play a game day, and print each moment as it is seen: injected, effect seen, alert,
webhook, run, first action, recovered, healed. Whatever happens, everything that was
injected is healed. Ctrl-C aborts the drill; it heals before it ends. With --repeat, one
that was aborted, or could not heal, is the last.

Exit codes: 0 passed or degraded; 1 failed or heal_failed; 4 inconclusive or aborted.`,
		Example: `  runbook gameday run orders-pool-exhaustion
  runbook gameday run gamedays/pool.yaml --repeat 5 -o html > report.html
  runbook gameday run orders-pool-exhaustion --controls
  runbook gameday run orders-pool-exhaustion --control no_remedy`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if play.repeat < 1 || play.repeat > maxRepeat {
				return usage("--repeat must be from 1 to %d", maxRepeat)
			}
			if d.Control = gameday.ControlRun(control.value); d.Control != "" && play.controls {
				return usage("--control plays one control run alone; leave out --controls")
			}
			return p.withDrill(cmd.Context(), r, args[0], &d, func(ctx context.Context, c *connection) error {
				if c.standalone() {
					return usage("a game day needs an engine that serves, because its alert must come by the webhook; say --server URL")
				}
				play.format = report.Format(format.value)
				return p.playDrills(ctx, c, d, play)
			})
		},
	}
	r = reachFlags(cmd)
	cmd.Flags().VarP(&format, "output", "o", "form of the output")
	mustComplete(cmd, "output", format.among...)
	cmd.Flags().Var(&control, "control", "a control run instead of the game day itself")
	mustComplete(cmd, "control", control.among...)
	cmd.Flags().BoolVar(&play.controls, "controls", false, "then also play the control runs that the document asks for")
	cmd.Flags().IntVar(&play.repeat, "repeat", 1, "play it `N` times, and sum up")
	cmd.Flags().StringVar(&play.save, "save", "", saveFlag)
	return cmd
}

const (
	maxRepeat  = 100
	drillEvery = 300 * time.Millisecond
	saveFlag   = "also write all forms of the report, and the raw evidence, into the folder `DIR`"
)

// plays is what is played of a game day, and where it is told.
type plays struct {
	repeat   int
	controls bool
	format   report.Format
	save     string
}

func (p *program) playDrills(ctx context.Context, c *connection, d api.Drill, play plays) error {
	results, err := p.playAgain(ctx, c, d, play.repeat)
	if err != nil {
		return err
	}
	if play.controls && !endsAll(results) {
		more, err := p.playControls(ctx, c, d, results[0].Plan.Controls)
		if err != nil {
			return err
		}
		results = append(results, more...)
	}
	ctx = context.WithoutCancel(ctx) // what was played is told, also after a Ctrl-C
	if play.format == "text" && len(results) > 1 {
		play.format = report.Markdown
	}
	if err := p.tellResults(ctx, c, play.format, play.save, results); err != nil {
		return err
	}
	return verdictExit(results)
}

// tellResults prints what is not told yet, and keeps all of it in a folder where
// one is given.
func (p *program) tellResults(ctx context.Context, c *connection, format report.Format, save string, results []report.Result) error {
	if save != "" || format == report.JSON {
		p.attachRuns(ctx, c, results)
	}
	if save != "" {
		if err := report.Save(save, results...); err != nil {
			return err
		}
	}
	if format == "text" {
		return nil
	}
	return report.Write(p.out, format, results...)
}

func (p *program) attachRuns(ctx context.Context, c *connection, results []report.Result) {
	for i := range results {
		for _, seen := range results[i].Evidence.Runs {
			whole, err := c.Run(ctx, seen.ID)
			if err != nil {
				fmt.Fprintf(p.err, "run %s is not attached in full: %v\n", seen.ID, err)
				continue
			}
			results[i].Runs = append(results[i].Runs, whole)
		}
	}
}

func (p *program) playAgain(ctx context.Context, c *connection, d api.Drill, repeat int) (results []report.Result, err error) {
	for len(results) < repeat && !endsAll(results) && (ctx.Err() == nil || len(results) == 0) {
		drill, err := p.playDrill(ctx, c, d)
		if err != nil {
			return nil, err
		}
		results = append(results, report.Result{Plan: drill.Plan, Evidence: drill.Evidence, Verdict: *drill.Verdict})
	}
	if left := repeat - len(results); left > 0 {
		fmt.Fprintf(p.err, "it is not played again, where %d more were asked for\n", left)
	}
	return results, nil
}

func (p *program) playControls(ctx context.Context, c *connection, d api.Drill, controls []gameday.ControlRun) (results []report.Result, err error) {
	if len(controls) == 0 {
		fmt.Fprintln(p.err, "the game day asks for no control run")
	}
	for _, d.Control = range controls {
		fmt.Fprintf(p.err, "control run %s\n", d.Control)
		one, err := p.playAgain(ctx, c, d, 1)
		if err != nil {
			return nil, err
		}
		if results = append(results, one...); endsAll(results) {
			break
		}
	}
	return results, nil
}

// endsAll: somebody wanted the drill to stop, or it left something behind. Another
// one would be against that.
func endsAll(results []report.Result) bool {
	return slices.ContainsFunc(results, func(r report.Result) bool {
		return r.Verdict.Verdict == verdict.Aborted || r.Verdict.Verdict == verdict.HealFailed
	})
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
	if err := ctx.Err(); err != nil {
		return drills.Drill{}, fmt.Errorf("play game day %s: %w", d.Gameday, err)
	}
	interrupts := make(chan os.Signal, 2)
	signal.Notify(interrupts, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupts)
	ctx = context.WithoutCancel(ctx) // they end the drill, not what is asked of it
	started, err := c.StartDrill(ctx, d)
	if err != nil {
		return drills.Drill{}, err
	}
	follow := &follower{p: p}
	for aborted := false; ; {
		drill, err := c.Drill(ctx, started.ID)
		if err != nil {
			return drill, fmt.Errorf("%w\n  the drill goes on: runbook gameday report %s", err, started.ID)
		}
		follow.show(drill)
		if drill.Phase == drills.Ended {
			return drill, nil
		}
		select {
		case <-interrupts:
			if aborted {
				return drill, fmt.Errorf("the drill heals by itself: runbook gameday report %s", started.ID)
			}
			aborted = true
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
	var save string
	format := choice{value: "markdown", among: []string{"markdown", "html", "json", "junit"}}
	cmd := &cobra.Command{
		Use: "report DRILL…", Short: "Print the report of a drill, or of several together",
		Example: "  runbook gameday report last\n  runbook gameday report last -o html > report.html\n  runbook gameday report last --save drills/may",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := r.find(cmd.Context(), p)
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
			return p.tellResults(cmd.Context(), c, report.Format(format.value), save, results)
		},
	}
	r = reachFlags(cmd)
	cmd.Flags().VarP(&format, "output", "o", "form of the report")
	cmd.Flags().StringVar(&save, "save", "", saveFlag)
	mustComplete(cmd, "output", format.among...)
	return cmd
}
