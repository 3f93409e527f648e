package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

func configOf(t *testing.T, text string) Config {
	t.Helper()
	c, _, problems := LoadConfig(write(t, t.TempDir(), "runbook.yaml", text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return c
}

func clock(t *testing.T, text string) time.Time {
	t.Helper()
	now, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func quietly(c Config) *windows { return newWindows(c, slog.New(slog.DiscardHandler)) }

func TestWindows(t *testing.T) {
	w := quietly(configOf(t, `
windows:
  weekend: [{weekdays: [saturday, sunday], location: Europe/Berlin}]
  night:
    autonomy: propose
    intervals:
      - {times: [{start_time: "22:00", end_time: "24:00"}]}
      - {times: [{start_time: "00:00", end_time: "05:00"}]}
`))
	for at, want := range map[string]string{
		"2026-11-20T12:00:00Z": "[]", "2026-11-20T22:30:00Z": "[night]", "2026-11-20T23:30:00Z": "[night weekend]",
		"2026-11-21T12:00:00Z": "[weekend]", "2026-11-23T04:59:00Z": "[night]", "2026-11-23T05:00:00Z": "[]",
	} {
		if got := fmt.Sprint(w.open(clock(t, at))); got != want {
			t.Errorf("at %s %s are open, want %s", at, got, want)
		}
	}
	if levels := w.at(clock(t, "2026-11-20T12:00:00Z")); levels[0].Autonomy != runbooks.Propose || levels[1].Autonomy != "" {
		t.Errorf("%+v", levels)
	}
	if names := DefaultConfig().windowNames(); names == nil {
		t.Error("no windows must not mean that they are not known")
	}
}

const freeze = `BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
SUMMARY:Year end
DTSTART;VALUE=DATE:20261220
DTEND;VALUE=DATE:20270104
END:VEVENT
END:VCALENDAR
`

const withCalendar = `
windows:
  freeze: {ics: freeze.ics, location: Asia/Shanghai, autonomy: propose, intervals: [{months: [february]}]}
`

func TestAWindowOfACalendar(t *testing.T) {
	c := configOf(t, withCalendar)
	path := c.Windows["freeze"].calendar.Path()
	if !filepath.IsAbs(path) {
		t.Fatalf("the calendar is at %s", path)
	}
	write(t, filepath.Dir(path), "freeze.ics", freeze)
	for at, want := range map[string]runbooks.Window{
		"2026-12-19T15:59:59Z": {},
		"2026-12-19T16:00:00Z": {Open: true, Event: "Year end", Until: clock(t, "2027-01-03T16:00:00Z")},
		"2027-01-03T15:59:59Z": {Open: true, Event: "Year end", Until: clock(t, "2027-01-03T16:00:00Z")},
		"2027-01-03T16:00:00Z": {},
		"2027-02-10T16:00:00Z": {Open: true},
	} {
		got := c.windows(clock(t, at))[0]
		if got.Open != want.Open || got.Event != want.Event || !got.Until.Equal(want.Until) || got.Name != "freeze" || got.Autonomy != runbooks.Propose || got.Unknown != "" {
			t.Errorf("at %s: %+v", at, got)
		}
	}
}

// gauges are the values of a collector that knows one window.
func gauges(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == "freeze" {
				values[f.GetName()] = m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// An unreadable calendar closes what it guards, says so in the log and in the
// metrics, and is read again.
func TestACalendarThatCanNotBeRead(t *testing.T) {
	c := configOf(t, withCalendar)
	var log bytes.Buffer
	w := newWindows(c, slog.New(slog.NewTextHandler(&log, nil)))
	if !strings.Contains(log.String(), "no such file") {
		t.Error("nothing is in the log from the start")
	}
	w.now = func() time.Time { return clock(t, "2026-11-20T12:00:00Z") }
	dir := filepath.Dir(c.Windows["freeze"].calendar.Path())
	expect := func(open, known float64, logged string) {
		t.Helper()
		if got := gauges(t, w); got["runbook_window_open"] != open || got["runbook_window_known"] != known || len(got) != 2 {
			t.Errorf("the metrics are %v, want %v and %v", got, open, known)
		}
		if got := fmt.Sprint(w.open(w.now())); (got == "[freeze]") != (open == 1) {
			t.Errorf("%s are open", got)
		}
		if n := strings.Count(log.String(), "\n"); logged != "" && (n != 1 || !strings.Contains(log.String(), logged)) || logged == "" && n > 0 {
			t.Errorf("the log has %s", log.String())
		}
		log.Reset()
	}
	expect(1, 0, "no such file")
	expect(1, 0, "")
	write(t, dir, "freeze.ics", freeze)
	expect(0, 1, "known again")
	write(t, dir, "freeze.ics", strings.Replace(freeze, "END:VCALENDAR", "", 1))
	expect(1, 0, "END:VCALENDAR")
	if err := os.Remove(filepath.Join(dir, "freeze.ics")); err != nil {
		t.Fatal(err)
	}
	expect(1, 0, "no such file")
	if one := w.at(w.now())[0]; !strings.Contains(one.Unknown, "no such file") {
		t.Errorf("%+v", one)
	}
}

func TestGuardsOfTheEngine(t *testing.T) {
	g := DefaultConfig().Guards
	if g.MaxRuns != 0 || g.Rate != nil || g.Storm != (ledger.Storm{Runs: 50, Within: model.Duration(5 * time.Minute)}) ||
		g.Queue != (ledger.Queue{Max: 10000, MaxWait: model.Duration(time.Hour)}) || time.Duration(g.Lease) != 30*time.Second {
		t.Errorf("the defaults are %+v", g)
	}
	g = configOf(t, "guards: {max_runs: 5, rate: [100/h, 10/5m], storm: {runs: 0}}").Guards
	if g.MaxRuns != 5 || fmt.Sprint(g.Rate) != "[100/h 10/5m]" || g.Storm.Runs != 0 || time.Duration(g.Storm.Within) != 5*time.Minute {
		t.Errorf("read as %+v", g)
	}
}

func TestWhatARunMayDoByItself(t *testing.T) {
	now := clock(t, "2026-12-20T12:00:00Z")
	c := configOf(t, withCalendar+`
autonomy: {max: auto, rules: [{matchers: ['env="prod"'], max: approve}]}
`)
	proofs := []ledger.Proof{{Runbook: "pool", Digest: "d", Verdict: "passed", At: now.AddDate(0, 0, -12)}}
	asked := 0
	j := judge{
		environment: c.Autonomy, windows: c.windows,
		proofs: func(context.Context) ([]ledger.Proof, error) { asked++; return proofs, nil },
	}
	plan := runbooks.Plan{Runbook: "pool", Digest: "d", Alert: &runbooks.Alert{Labels: map[string]string{"env": "prod"}}}
	plan.Document.Autonomy = runbooks.Autonomy{Level: runbooks.Auto, Proof: &runbooks.Proof{MaxAge: model.Duration(30 * 24 * time.Hour)}}
	ask := func(want runbooks.Level, why ...string) {
		t.Helper()
		level, got, err := j.autonomy(t.Context(), &plan, runbooks.Moment{Now: now})
		if err != nil || level != want || len(got) != len(why) {
			t.Errorf("%s %q, %v; want %s %q", level, got, err, want, why)
			return
		}
		for i := range why {
			if !strings.Contains(got[i], why[i]) {
				t.Errorf("%q, want %q", got[i], why[i])
			}
		}
	}
	ask(runbooks.Propose, `env="prod"`, "window freeze allows at most propose: it counts as open")
	write(t, filepath.Dir(c.Windows["freeze"].calendar.Path()), "freeze.ics", freeze)
	ask(runbooks.Propose, `env="prod"`, "window freeze is open")
	now = clock(t, "2026-12-19T12:00:00Z")
	ask(runbooks.Approve, `env="prod"`)
	plan.Alert.Labels["env"] = "dev"
	ask(runbooks.Auto)
	plan.Digest = "e"
	ask(runbooks.Approve, "changed since its last game day")
	asked = 0
	plan.Document.Autonomy.Proof = nil
	ask(runbooks.Auto)
	if asked != 0 {
		t.Error("the proofs were looked up for nothing")
	}
	plan.Alert = nil
	ask(runbooks.Auto)
	plan.Document.Autonomy.Proof = &runbooks.Proof{}
	j.proofs = func(context.Context) ([]ledger.Proof, error) { return nil, errors.New("the ledger is away") }
	if level, _, err := j.autonomy(t.Context(), &plan, runbooks.Moment{Now: now}); err == nil || level != runbooks.Off {
		t.Errorf("without the ledger: %s, %v", level, err)
	}
}
