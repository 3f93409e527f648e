package engine

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// drillRecorder counts each drill once, although it may be told of its end twice.
type drillRecorder struct{ *recorder }

func newDrillRecorder(m *metrics.Metrics, log *slog.Logger) drillRecorder {
	return drillRecorder{newRecorder(m, log)}
}

func (r drillRecorder) concluded(ended drills.Result) {
	if r.again(ended.ID) {
		return
	}
	r.metrics.DrillConcluded(ended.Plan.Gameday, string(ended.Verdict.Verdict))
	r.log.Info("drill concluded", "drill", ended.ID, "gameday", ended.Plan.Gameday, "verdict", ended.Verdict.Verdict, "reason", ended.Verdict.Reasons[0].Text)
}

// missedDrills makes known that a schedule did not start what it should have.
func (e *Engine) missedDrills(m gamedays.Missed) error {
	e.log.Warn("runs of a game day were missed", "gameday", m.Gameday, "late", m.Late, "overlap", m.Overlap)
	return e.audit.Write(audit.Entry{Kind: audit.Decision, Actor: drills.BySchedule, Runbook: m.Gameday, Decision: "game day missed", Reason: m.String()})
}

// missedRuns gives what Temporal counts, so that it grows over restarts.
type missedRuns struct{ schedules *gamedays.Schedules }

var missedMetric = prometheus.NewDesc("runbook_gameday_missed_total",
	"Runs of game days that did not happen when they should have: late, the engine was not there in time; overlap, the one before was still under way.",
	[]string{"gameday", "why"}, nil)

func (missedRuns) Describe(out chan<- *prometheus.Desc) { out <- missedMetric }

func (m missedRuns) Collect(out chan<- prometheus.Metric) {
	for _, one := range m.schedules.Seen() {
		out <- prometheus.MustNewConstMetric(missedMetric, prometheus.CounterValue, float64(one.Late), one.Gameday, "late")
		out <- prometheus.MustNewConstMetric(missedMetric, prometheus.CounterValue, float64(one.Overlap), one.Gameday, "overlap")
	}
}

// injections is how many faults of ours are in the systems, as the janitor last
// counted them. There is no value while that is not known of every system.
type injections struct{ counted atomic.Pointer[int] }

var injectionsMetric = prometheus.NewDesc("runbook_injections_active", "Faults of ours that are in the systems.", nil, nil)

func (i *injections) count(ctx context.Context, faults *chaos.Catalog) {
	active, err := faults.Active(ctx)
	if err != nil {
		i.counted.Store(nil)
		return
	}
	n := len(active)
	i.counted.Store(&n)
}

// Describe implements prometheus.Collector.
func (i *injections) Describe(out chan<- *prometheus.Desc) { out <- injectionsMetric }

// Collect implements prometheus.Collector.
func (i *injections) Collect(out chan<- prometheus.Metric) {
	if n := i.counted.Load(); n != nil {
		out <- prometheus.MustNewConstMetric(injectionsMetric, prometheus.GaugeValue, float64(*n))
	}
}
