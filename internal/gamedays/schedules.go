package gamedays

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// ErrNoSchedule is returned for a game day that does not run by itself.
var ErrNoSchedule = errors.New("no such schedule")

const (
	schedulePrefix = "gameday/"
	memoSettings   = "settings" // of the drills that a schedule starts: what it was made from
	memoQueue      = "queue"    // of a schedule: the engines it belongs to
	watchSetEvery  = time.Second
	lookEvery      = 15 * time.Second
)

// Schedules keeps one Temporal Schedule for each loaded game day that runs by
// itself. Several engines may keep the same ones.
type Schedules struct {
	client client.Client
	queue  string
	set    func() *gameday.Set
	missed func(Missed) error
	log    *slog.Logger
	told   told

	mu   sync.Mutex
	last []Schedule
}

// SchedulesOptions are what schedules need of the engine.
type SchedulesOptions struct {
	Set func() *gameday.Set // the documents in use now
	// Missed is told of runs that did not happen; it is told again when it fails.
	Missed func(Missed) error
	// File keeps what Missed was told, over restarts.
	File string
	Log  *slog.Logger
}

// NewSchedules makes schedules whose drills go to the workers of a task queue.
// Run keeps them.
func NewSchedules(c client.Client, queue string, o SchedulesOptions) *Schedules {
	return &Schedules{client: c, queue: queue, set: o.Set, missed: o.Missed, log: o.Log, told: told{file: o.File}}
}

// Run makes the schedules what the documents say, now and whenever those change,
// and reports missed runs, until ctx ends.
func (s *Schedules) Run(ctx context.Context) {
	var done *gameday.Set
	var looked time.Time
	ticker := time.NewTicker(watchSetEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		if now := s.set(); now != done {
			if s.try(ctx, "the schedules of game days are not what the documents say; it is tried again", s.Reconcile(ctx)) {
				done, looked = now, time.Time{}
			}
		}
		if time.Since(looked) >= lookEvery {
			s.try(ctx, "not every missed run of a game day is reported; it is tried again", s.Look(ctx))
			looked = time.Now()
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (s *Schedules) try(ctx context.Context, what string, err error) bool {
	if err != nil && ctx.Err() == nil {
		s.log.Warn(what, "error", err)
	}
	return err == nil
}

// Reconcile makes the schedules what the documents say: those that are missing
// are made, others changed, and those whose document is gone are deleted.
func (s *Schedules) Reconcile(ctx context.Context) error {
	var failed []error
	wanted := map[string]bool{}
	for _, g := range s.set().All() {
		if g.Schedule == nil {
			continue
		}
		wanted[scheduleID(g.Gameday)] = true
		if err := s.keep(ctx, g); err != nil {
			failed = append(failed, fmt.Errorf("schedule game day %s: %w", g.Gameday, err))
		}
	}
	return errors.Join(append(failed, s.prune(ctx, wanted))...)
}

func scheduleID(gameday string) string { return schedulePrefix + gameday }

// keep makes the schedule of a game day, or changes it. Whether it is paused is
// for people to say.
func (s *Schedules) keep(ctx context.Context, g *gameday.Gameday) error {
	_, err := s.client.ScheduleClient().Create(ctx, client.ScheduleOptions{
		ID: scheduleID(g.Gameday), Spec: *specOf(g.Schedule), Action: s.action(g),
		Overlap: overlapOf(g.Schedule), CatchupWindow: time.Duration(g.Schedule.Catchup),
		Memo: map[string]any{memoQueue: s.queue},
	})
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err
	}
	return s.handle(g.Gameday).Update(ctx, client.ScheduleUpdateOptions{
		DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			now := in.Description.Schedule
			// A change drops what is about to start, so there is none without need.
			if settingsOf(now) == s.settings(g) {
				return nil, temporal.ErrSkipScheduleUpdate
			}
			now.Spec, now.Action = specOf(g.Schedule), s.action(g)
			now.Policy = &client.SchedulePolicies{Overlap: overlapOf(g.Schedule), CatchupWindow: time.Duration(g.Schedule.Catchup)}
			return &client.ScheduleUpdate{Schedule: &now}, nil
		},
	})
}

func specOf(c *gameday.Schedule) *client.ScheduleSpec {
	return &client.ScheduleSpec{CronExpressions: []string{c.Cron}, TimeZoneName: c.Timezone, Jitter: time.Duration(c.Jitter)}
}

func overlapOf(c *gameday.Schedule) enumspb.ScheduleOverlapPolicy {
	if c.Overlap == "queue" {
		return enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE
	}
	return enumspb.SCHEDULE_OVERLAP_POLICY_SKIP
}

// action starts a drill. Temporal adds the time to its id.
func (s *Schedules) action(g *gameday.Gameday) *client.ScheduleWorkflowAction {
	return &client.ScheduleWorkflowAction{
		ID: drills.WorkflowID(g.Gameday + ".schedule"), Workflow: drills.Type, TaskQueue: s.queue,
		Args:          []any{drills.Request{Gameday: g.Gameday, By: drills.BySchedule}},
		Memo:          map[string]any{memoSettings: s.settings(g)},
		StaticSummary: "game day " + g.Gameday + ", by its schedule",
	}
}

func (s *Schedules) settings(g *gameday.Gameday) string {
	c := g.Schedule
	return fmt.Sprintf("%s %s jitter=%s overlap=%s catchup=%s queue=%s", c.Cron, c.Timezone, c.Jitter, c.Overlap, c.Catchup, s.queue)
}

func settingsOf(now client.Schedule) (settings string) {
	action, ok := now.Action.(*client.ScheduleWorkflowAction)
	if !ok {
		return ""
	}
	payload, _ := action.Memo[memoSettings].(*commonpb.Payload)
	decode(payload, &settings)
	return settings
}

// prune deletes the schedules of these engines that are not wanted.
func (s *Schedules) prune(ctx context.Context, wanted map[string]bool) error {
	all, err := s.client.ScheduleClient().List(ctx, client.ScheduleListOptions{PageSize: 100})
	if err != nil {
		return fmt.Errorf("list schedules: %w", err)
	}
	var failed []error
	for all.HasNext() {
		one, err := all.Next()
		if err != nil {
			return errors.Join(append(failed, fmt.Errorf("list schedules: %w", err))...)
		}
		if wanted[one.ID] || !strings.HasPrefix(one.ID, schedulePrefix) || !s.owns(one) {
			continue
		}
		err = s.client.ScheduleClient().GetHandle(ctx, one.ID).Delete(ctx)
		if err != nil && !missing(err) {
			failed = append(failed, fmt.Errorf("delete schedule %s: %w", one.ID, err))
		}
	}
	return errors.Join(failed...)
}

func (s *Schedules) owns(one *client.ScheduleListEntry) bool {
	var queue string
	decode(one.Memo.GetFields()[memoQueue], &queue)
	return queue == s.queue
}

func missing(err error) bool {
	var none *serviceerror.NotFound
	return errors.As(err, &none)
}

func (s *Schedules) handle(gameday string) client.ScheduleHandle {
	return s.client.ScheduleClient().GetHandle(context.Background(), scheduleID(gameday))
}
