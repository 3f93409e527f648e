package gamedays_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/actions"
	actionstd "github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/chaos/gameday"
	faultstd "github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/workflows/drills"
)

var server *temporalserver.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Main(m, temporaltest.Keep(&server))) }

const scheduled = `
gameday: %s
summary: Hold a lock.
schedule: %s
steady: [{id: up, do: wait, with: {duration: 0s}, expect: 'duration == duration("0s")'}]
faults: [{id: lock, inject: postgres.hold_lock, with: {database: app, table: orders}, for: 20s}]
expect: {alert: {matchers: ['alertname="Down"'], within: 10s}}
`

const daily = `{cron: "0 10 * * *", timezone: Asia/Shanghai, jitter: 10m}`

// calendar is schedules on the server, of documents that a test changes.
type calendar struct {
	*gamedays.Schedules
	t      *testing.T
	client client.Client
	set    *gameday.Set
	queue  string
	file   string
	missed []gamedays.Missed
	refuse error
}

func newCalendar(t *testing.T) *calendar {
	t.Helper()
	c := &calendar{t: t, client: temporaltest.Dial(t, server), queue: t.Name(), file: filepath.Join(t.TempDir(), "missed.json")}
	c.write()
	c.restart()
	t.Cleanup(func() {
		c.write()
		c.reconcile()
	})
	return c
}

// restart is another engine on the same state.
func (c *calendar) restart() {
	c.Schedules = gamedays.NewSchedules(c.client, c.queue, gamedays.SchedulesOptions{
		Set: func() *gameday.Set { return c.set }, File: c.file, Log: slog.New(slog.DiscardHandler),
		Missed: func(m gamedays.Missed) error {
			if c.refuse != nil {
				return c.refuse
			}
			c.missed = append(c.missed, m)
			return nil
		},
	})
}

// write replaces the documents: pairs of a name and a schedule.
func (c *calendar) write(pairs ...string) {
	c.t.Helper()
	text := ""
	for i := 0; i < len(pairs); i += 2 {
		text += "---" + fmt.Sprintf(scheduled, pairs[i], pairs[i+1])
	}
	conns := &actions.Connections{}
	set, problems := gameday.Load(diag.Sources{"days.yaml": []byte(text)}, gameday.Options{Actions: actionstd.Catalog(conns), Faults: faultstd.Catalog(conns)})
	if err := problems.Err(); err != nil {
		c.t.Fatal(err)
	}
	c.set = set
}

func (c *calendar) reconcile() {
	c.t.Helper()
	if err := c.Reconcile(context.WithoutCancel(c.t.Context())); err != nil {
		c.t.Fatal(err)
	}
}

func (c *calendar) describe(gameday string) *client.ScheduleDescription {
	c.t.Helper()
	d, err := c.client.ScheduleClient().GetHandle(c.t.Context(), "gameday/"+gameday).Describe(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

func (c *calendar) eventually(what string, holds func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("waited in vain for %s", what)
		}
	}
}

var ann = drills.Stop{By: "ann", Reason: "the sale"}

func TestASchedulesSettingsAreThoseOfTheDocument(t *testing.T) {
	c := newCalendar(t)
	c.write("pool", daily)
	c.reconcile()
	d := c.describe("pool")
	spec, policy := d.Schedule.Spec, d.Schedule.Policy
	if spec.TimeZoneName != "Asia/Shanghai" || spec.Jitter != 10*time.Minute || policy.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_SKIP || policy.CatchupWindow != time.Minute {
		t.Fatalf("%+v %+v", spec, policy)
	}
	next := d.Info.NextActionTimes[0].UTC()
	if next.Hour() != 2 || next.Minute() >= 10 {
		t.Errorf("ten in Shanghai is two in UTC, and not %s", next)
	}
}

func TestAScheduleFollowsItsDocument(t *testing.T) {
	c := newCalendar(t)
	c.write("pool", daily, "other", daily)
	c.reconcile()
	c.write("pool", `{cron: "30 4 * * *", overlap: queue, catchup: 1h}`)
	c.reconcile()
	d := c.describe("pool")
	next := d.Info.NextActionTimes[0].UTC()
	if next.Hour() != 4 || next.Minute() != 30 || d.Schedule.Policy.Overlap != enumspb.SCHEDULE_OVERLAP_POLICY_BUFFER_ONE || d.Schedule.Policy.CatchupWindow != time.Hour {
		t.Errorf("next at %s, %+v", next, d.Schedule.Policy)
	}
	if _, err := c.client.ScheduleClient().GetHandle(t.Context(), "gameday/other").Describe(t.Context()); err == nil {
		t.Error("the schedule of a document that is gone is still there")
	}
}

func TestAnUnchangedScheduleIsLeftAlone(t *testing.T) {
	c := newCalendar(t)
	c.write("pool", daily)
	c.reconcile()
	before := c.describe("pool").Info.LastUpdateAt
	c.reconcile()
	if after := c.describe("pool").Info.LastUpdateAt; !after.Equal(before) {
		t.Errorf("it was changed at %s, which drops what is about to start", after)
	}
}

func TestSchedulesOfOthersAreLeftAlone(t *testing.T) {
	c := newCalendar(t)
	c.write("pool", daily)
	c.reconcile()
	stranger := gamedays.NewSchedules(c.client, "other-queue", gamedays.SchedulesOptions{
		Set: func() *gameday.Set { set, _ := gameday.Load(nil, gameday.Options{}); return set },
	})
	if err := stranger.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.describe("pool")
}

func TestAPausedScheduleStaysPaused(t *testing.T) {
	c := newCalendar(t)
	c.write("pool", daily)
	c.reconcile()
	if err := c.Pause(t.Context(), "pool", ann); err != nil {
		t.Fatal(err)
	}
	c.write("pool", `{cron: "30 4 * * *"}`)
	c.restart()
	c.reconcile()
	c.eventually("the schedule to be changed and paused", func() bool {
		s := c.describe("pool").Schedule
		return s.State.Paused && s.State.Note == "paused by ann: the sale" && s.Policy.CatchupWindow == time.Minute
	})
	if err := c.Unpause(t.Context(), "pool", ann); err != nil {
		t.Fatal(err)
	}
	c.eventually("the schedule to be resumed", func() bool { return !c.describe("pool").Schedule.State.Paused })
}

func TestATriggeredScheduleStartsADrill(t *testing.T) {
	c := newCalendar(t)
	c.write("trigger", daily)
	c.reconcile()
	c.trigger("trigger")
	execution := c.running("trigger")
	id, ok := drills.IDOf(execution)
	if !ok || !strings.HasPrefix(id, "trigger.schedule-") {
		t.Errorf("the drill is called %q", id)
	}
	all, err := c.List(t.Context())
	if err != nil || len(all) != 1 || all[0].LastDrill != id {
		t.Errorf("%+v %v", all, err)
	}
}

func (c *calendar) trigger(gameday string) {
	c.t.Helper()
	if err := c.Trigger(c.t.Context(), gameday, ann); err != nil {
		c.t.Fatal(err)
	}
}

// running waits for the workflow of the drill, which nobody works on.
func (c *calendar) running(gameday string) (id string) {
	c.t.Helper()
	c.eventually("a drill", func() bool {
		recent := c.describe(gameday).Info.RecentActions
		if len(recent) > 0 {
			id = recent[len(recent)-1].StartWorkflowResult.WorkflowID
		}
		return id != ""
	})
	c.t.Cleanup(func() {
		if err := c.client.TerminateWorkflow(context.WithoutCancel(c.t.Context()), id, "", "the test is over"); err != nil {
			c.t.Error(err)
		}
	})
	return id
}

func TestAMissedRunIsReportedOnce(t *testing.T) {
	c := newCalendar(t)
	c.write("missed", daily)
	c.reconcile()
	c.trigger("missed")
	c.running("missed")
	c.trigger("missed") // the first is still under way
	c.eventually("the second to be left out", func() bool { return c.describe("missed").Info.NumActionsSkippedOverlap == 1 })

	c.refuse = errors.New("the audit file is full")
	if err := c.Look(t.Context()); !errors.Is(err, c.refuse) {
		t.Fatal(err)
	}
	c.refuse = nil
	for range 2 {
		c.restart()
		if err := c.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(c.missed) != 1 || c.missed[0] != (gamedays.Missed{Gameday: "missed", Overlap: 1}) {
			t.Fatalf("reported as missed: %+v", c.missed)
		}
	}
	if seen := c.Seen(); len(seen) != 1 || seen[0].Overlap != 1 {
		t.Errorf("%+v", seen)
	}
}

func TestAGameDayWithoutAScheduleCanNotBeTriggered(t *testing.T) {
	c := newCalendar(t)
	if err := c.Trigger(t.Context(), "nothing", ann); !errors.Is(err, gamedays.ErrNoSchedule) {
		t.Error(err)
	}
}
