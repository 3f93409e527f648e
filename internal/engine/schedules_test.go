package engine

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// frozenDay would run by itself, but for a window that is always open.
const frozenDay = `
gameday: frozen
summary: Nothing is injected while the freeze lasts.
schedule: {cron: "0 10 * * TUE", not_during: [freeze]}
steady: [{id: up, do: wait, with: {duration: 0s}, expect: 'duration == duration("0s")'}]
faults: [{id: lock, inject: postgres.hold_lock, with: {database: app, table: orders}, for: 20s}]
expect: {alert: {matchers: ['alertname="Down"'], within: 10s}}
`

const frozenConfig = `
runbooks: [books]
connections:
  app: {postgres: {dsn_file: app.dsn}}
  alerts: {alertmanager: {url: "http://127.0.0.1:1"}}
windows: {freeze: [{months: ["1:12"]}]}
`

func TestAScheduledDrillKeepsOutOfItsWindows(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books/frozen.gameday.yaml", frozenDay)
	write(t, dir, "app.dsn", "postgres://127.0.0.1:1/app")
	e := serve(t, dir, frozenConfig)
	waitFor(t, "the schedule", func() bool {
		status, _ := do(t, http.MethodPost, e.URL()+"/api/v1/schedules/frozen/trigger", `{"reason": "a test"}`)
		return status == http.StatusAccepted
	})
	d := endedDrill(t, e)
	if d.By != drills.BySchedule || d.Verdict.Verdict != verdict.Inconclusive || len(d.Evidence.Injections) != 0 {
		t.Fatalf("%+v", d)
	}
	var reasons []string
	for _, r := range d.Verdict.Reasons {
		reasons = append(reasons, r.Text)
	}
	if all := strings.Join(reasons, "\n"); !strings.Contains(all, "the schedule does not start drills during freeze, which is open") {
		t.Errorf("the reasons are\n%s", all)
	}
	waitFor(t, "the metrics", func() bool {
		_, text := get(t, e.URL()+"/metrics")
		return strings.Contains(text, `runbook_drills_total{gameday="frozen",verdict="inconclusive"} 1`) &&
			strings.Contains(text, `runbook_gameday_missed_total{gameday="frozen",why="late"} 0`)
	})
}

func endedDrill(t *testing.T, e *Engine) (d drills.Drill) {
	t.Helper()
	waitFor(t, "the drill to end", func() bool {
		var rows []gamedays.Row
		_, text := get(t, e.URL()+"/api/v1/drills")
		if err := json.Unmarshal([]byte(text), &rows); err != nil || len(rows) == 0 || rows[0].Status != "ended" {
			return false
		}
		_, text = get(t, e.URL()+"/api/v1/drills/"+rows[0].ID)
		return json.Unmarshal([]byte(text), &d) == nil && d.Phase == drills.Ended
	})
	return d
}

func waitFor(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
