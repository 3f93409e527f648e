package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/gamedays"
)

func (p *program) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Game days that run by themselves",
		Long: `Game days that run by themselves: when they are next, and which runs were missed. The
times are in the documents; a game day that is paused here stays so when those change.`,
	}
	cmd.AddCommand(p.listSchedulesCommand(), p.pauseScheduleCommand(), p.resumeScheduleCommand(), p.triggerScheduleCommand())
	return cmd
}

func (p *program) listSchedulesCommand() *cobra.Command {
	return p.lookCommand(&cobra.Command{
		Use: "list", Short: "List when game days run by themselves", Example: "  runbook gameday schedule list",
		Long: `List when game days run by themselves. LATE counts the runs that were missed because the
engine came back too late for them, OVERLAP those that were left out because the one
before was still under way.`,
	}, documentFlags, func(ctx context.Context, c *connection, output string) error {
		list, err := c.Schedules(ctx)
		heading := []string{"GAME DAY", "SCHEDULE", "NEXT", "LAST DRILL", "LATE", "OVERLAP", ""}
		return p.table(err, output, list, len(list), "no game day runs by itself", heading, func(i int) []string {
			s := list[i]
			return []string{s.Gameday, s.Cron + " " + s.Timezone, nextText(s), s.LastDrill, fmt.Sprint(s.Late), fmt.Sprint(s.Overlap), cmp.Or(s.Problem, s.Note)}
		})
	})
}

func nextText(s gamedays.Schedule) string {
	switch {
	case s.Paused:
		return "paused"
	case s.Next == nil:
		return ""
	}
	return s.Next.Local().Format(time.RFC3339)
}

// tellSchedule is a command about one schedule, with a reason.
func (p *program) tellSchedule(cmd *cobra.Command, do tell, said string) *cobra.Command {
	return p.withReason(cmd, func(ctx context.Context, c *connection, gameday, reason string) (string, error) {
		return gameday, do(ctx, c, gameday, reason)
	}, said)
}

func (p *program) pauseScheduleCommand() *cobra.Command {
	return p.tellSchedule(&cobra.Command{
		Use: "pause GAMEDAY --reason TEXT", Short: "Keep a game day from running by itself, until it is resumed",
		Example: `  runbook gameday schedule pause orders-pool-exhaustion --reason "the week of the sale"`,
	}, func(ctx context.Context, c *connection, gameday, reason string) error {
		return c.PauseSchedule(ctx, gameday, reason)
	}, "%s does not run by itself until it is resumed; a drill that is under way goes on")
}

func (p *program) resumeScheduleCommand() *cobra.Command {
	return p.tellSchedule(&cobra.Command{
		Use: "resume GAMEDAY --reason TEXT", Short: "Let a game day run by itself again",
		Example: `  runbook gameday schedule resume orders-pool-exhaustion --reason "the sale is over"`,
	}, func(ctx context.Context, c *connection, gameday, reason string) error {
		return c.UnpauseSchedule(ctx, gameday, reason)
	}, "%s runs by itself again")
}

func (p *program) triggerScheduleCommand() *cobra.Command {
	return p.tellSchedule(&cobra.Command{
		Use: "trigger GAMEDAY --reason TEXT", Short: "Start a drill now, as the schedule would",
		Long: `Start a drill now, as the schedule would: not in a window of its not_during, and not
beside a drill of the same schedule. To play it in any case: runbook gameday run.`,
		Example: `  runbook gameday schedule trigger orders-pool-exhaustion --reason "does the schedule work?"`,
	}, func(ctx context.Context, c *connection, gameday, reason string) error {
		return c.TriggerSchedule(ctx, gameday, reason)
	}, "%s was asked for; see runbook gameday drills")
}
