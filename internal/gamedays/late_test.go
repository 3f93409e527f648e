package gamedays_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/workflows"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// catchup is the shortest that Temporal takes.
const catchup = 10 * time.Second

// A run whose time came while Temporal was down for longer than the catch-up is
// counted as late and reported once. The schedule is the one of the game day but
// for its times: a document knows no seconds.
func TestARunThatIsTooLateIsReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &calendar{t: t, queue: t.Name(), file: filepath.Join(t.TempDir(), "missed.json")}
	c.write("late", daily)
	stop := c.serve(dir)
	_, err := c.client.ScheduleClient().Create(t.Context(), client.ScheduleOptions{
		ID: "gameday/late", Spec: client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: time.Second}}}, CatchupWindow: catchup,
		Action: &client.ScheduleWorkflowAction{ID: drills.WorkflowID("late.schedule"), Workflow: drills.Type, TaskQueue: c.queue},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.eventually("the first run", func() bool { return c.describe("late").Info.NumActions > 0 })
	stop()
	time.Sleep(catchup + 3*time.Second) // nothing else makes a run late

	defer c.serve(dir)()
	c.eventually("late runs", func() bool { return c.describe("late").Info.NumActionsMissedCatchupWindow > 0 })
	// No more are added while they are looked at.
	if err := c.Pause(t.Context(), "late", drills.Stop{By: "ann", Reason: "count"}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if seen := c.Seen(); len(c.missed) != 1 || c.missed[0].Late == 0 || len(seen) != 1 || seen[0].Late != c.missed[0].Late {
		t.Errorf("reported as missed: %+v; listed: %+v", c.missed, seen)
	}
}

// serve is a Temporal server of its own, with its state in a folder.
func (c *calendar) serve(dir string) (stop func()) {
	c.t.Helper()
	s, err := temporalserver.Start(context.Background(), temporalserver.Options{Dir: dir, SearchAttributes: workflows.SearchAttributes()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.client = temporaltest.Dial(c.t, s)
	c.restart()
	return func() { s.Stop() }
}
