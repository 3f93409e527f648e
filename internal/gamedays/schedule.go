package gamedays

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// Schedule is when a game day runs by itself, and what came of it.
type Schedule struct {
	Gameday   string     `json:"name" doc:"The game day."`
	Cron      string     `json:"cron"`
	Timezone  string     `json:"timezone"`
	NotDuring []string   `json:"not_during,omitempty"`
	Paused    bool       `json:"paused"`
	Note      string     `json:"note,omitempty" doc:"Who paused or resumed it, and why."`
	Next      *time.Time `json:"next,omitempty" doc:"When it starts next, jitter included."`
	LastDrill string     `json:"last_drill,omitempty"`
	Late      int        `json:"late" doc:"Runs that were missed because the engine came back too late for them."`
	Overlap   int        `json:"overlap" doc:"Runs that were left out because the one before was still under way."`
	Problem   string     `json:"problem,omitempty" doc:"Why nothing more is known of it."`
}

// List is the schedules of the loaded game days. One that can not be asked says
// so itself.
func (s *Schedules) List(ctx context.Context) ([]Schedule, error) {
	all := []Schedule{}
	for _, g := range s.set().All() {
		if g.Schedule == nil {
			continue
		}
		one, err := s.describe(ctx, g)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func (s *Schedules) describe(ctx context.Context, g *gameday.Gameday) (Schedule, error) {
	one := Schedule{Gameday: g.Gameday, Cron: g.Schedule.Cron, Timezone: g.Schedule.Timezone, NotDuring: g.Schedule.NotDuring}
	d, err := s.handle(g.Gameday).Describe(ctx)
	if missing(err) {
		one.Problem = "Temporal has no schedule for it; an engine that serves makes it"
		return one, nil
	}
	if err != nil {
		return one, fmt.Errorf("read the schedule of %s: %w", g.Gameday, err)
	}
	one.Late, one.Overlap = d.Info.NumActionsMissedCatchupWindow, d.Info.NumActionsSkippedOverlap
	if d.Schedule.State != nil {
		one.Paused, one.Note = d.Schedule.State.Paused, d.Schedule.State.Note
	}
	if next := d.Info.NextActionTimes; len(next) > 0 && !one.Paused {
		one.Next = &next[0]
	}
	if n := len(d.Info.RecentActions); n > 0 && d.Info.RecentActions[n-1].StartWorkflowResult != nil {
		one.LastDrill, _ = drills.IDOf(d.Info.RecentActions[n-1].StartWorkflowResult.WorkflowID)
	}
	return one, nil
}

// Pause keeps a game day from running by itself until Unpause. It stays paused
// over restarts and changes of its document.
func (s *Schedules) Pause(ctx context.Context, gameday string, by drills.Stop) error {
	return s.tell(gameday, "pause", s.handle(gameday).Pause(ctx, client.SchedulePauseOptions{Note: noteOf("paused", by)}))
}

// Unpause lets it run again.
func (s *Schedules) Unpause(ctx context.Context, gameday string, by drills.Stop) error {
	return s.tell(gameday, "resume", s.handle(gameday).Unpause(ctx, client.ScheduleUnpauseOptions{Note: noteOf("resumed", by)}))
}

// Trigger starts a drill now, as the schedule would: not beside one of the same
// schedule.
func (s *Schedules) Trigger(ctx context.Context, gameday string, _ drills.Stop) error {
	return s.tell(gameday, "trigger", s.handle(gameday).Trigger(ctx, client.ScheduleTriggerOptions{
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_UNSPECIFIED, // that of the schedule
	}))
}

func (s *Schedules) tell(gameday, what string, err error) error {
	switch {
	case missing(err):
		return fmt.Errorf("%s game day %s: %w", what, gameday, ErrNoSchedule)
	case err != nil:
		return fmt.Errorf("%s the schedule of game day %s: %w", what, gameday, err)
	}
	return nil
}

func noteOf(what string, by drills.Stop) string {
	return fmt.Sprintf("%s by %s: %s", what, by.By, by.Reason)
}

// Look asks Temporal about the schedules, and reports the runs that were missed
// since it was last done.
func (s *Schedules) Look(ctx context.Context) error {
	all, err := s.List(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.last = all
	s.mu.Unlock()
	var failed []error
	for _, one := range all {
		if one.Problem == "" {
			failed = append(failed, s.told.tell(one, s.missed))
		}
	}
	return errors.Join(failed...)
}

// Seen is what Look saw last.
func (s *Schedules) Seen() []Schedule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}
