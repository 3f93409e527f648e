// Package metrics is what the engine tells Prometheus. What an alert says never
// becomes a label: only names of the loaded runbooks and of the actions do.
package metrics

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Decision is what the receiver made of one alert, or of one alert and one
// runbook.
type Decision string

// The decisions. Received counts each alert once; one alert can match several
// runbooks.
const (
	Received  Decision = "received"  // an alert came in
	Matched   Decision = "matched"   // a runbook answers it
	Started   Decision = "started"   // a run was made durable
	Duplicate Decision = "duplicate" // the run of this episode was there already
	Refused   Decision = "refused"   // the run is recorded, and must not do anything
	Resolved  Decision = "resolved"  // a run was told that its alert has ended
	Ended     Decision = "ended"     // the alert ended after its run had
	Stale     Decision = "stale"     // a late firing of an episode that is over
	Unmatched Decision = "unmatched" // no runbook answers it
	Off       Decision = "off"       // the runbook's autonomy is off
	Own       Decision = "own"       // the engine raised it itself
	Truncated Decision = "truncated" // left out of the message, and nowhere to fetch it
	Flapping  Decision = "flapping"  // the run of an episode just before it goes on with it
	Shed      Decision = "shed"      // the queue is full: 503
	Gone      Decision = "gone"      // no Alertmanager has it any more: taken as resolved
	Failed    Decision = "failed"    // the run could not be made durable: 503
)

var decisions = []Decision{
	Received, Matched, Started, Duplicate, Refused, Resolved, Ended, Stale, Unmatched, Off, Own, Truncated, Flapping, Shed, Gone, Failed,
}

// Metrics are the engine's own. All are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	alerts       *prometheus.CounterVec
	reconciled   *prometheus.CounterVec
	reconciledAt prometheus.Gauge
	requests     *prometheus.CounterVec
	requestTime  prometheus.Histogram
	concluded    *prometheus.CounterVec
	refusals     *prometheus.CounterVec
	drills       *prometheus.CounterVec
	firstAction  prometheus.Histogram
	actions      *prometheus.CounterVec
	actionTime   *prometheus.HistogramVec
	reloaded     prometheus.Gauge
	reloadedAt   prometheus.Gauge
	documents    prometheus.Gauge
	temporalUp   prometheus.Gauge
	temporalLost prometheus.Counter
}

// New makes the metrics, with those of the Go runtime and of the process.
func New(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.receiver()
	m.runs()
	m.engine()
	for _, d := range decisions {
		m.alerts.WithLabelValues(string(d))
		m.reconciled.WithLabelValues(string(d))
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "runbook_build_info", Help: "Version of the program.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

var latencies = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func (m *Metrics) receiver() {
	m.alerts = m.counters("runbook_webhook_alerts_total", "Alerts received from Alertmanager, by what was decided.", "decision")
	m.reconciled = m.counters("runbook_reconciled_alerts_total", "Alerts that were found by asking Alertmanager, by what was decided.", "decision")
	m.reconciledAt = m.gauge("runbook_reconciled_timestamp_seconds", "When every Alertmanager was last asked what fires, and answered.")
	m.requests = m.counters("runbook_webhook_requests_total", "Messages received from Alertmanager, by the status of the answer.", "code")
	m.requestTime = m.histogram("runbook_webhook_request_duration_seconds", "Time until a message was answered.", latencies)
}

func (m *Metrics) runs() {
	m.concluded = m.counters("runbook_runs_concluded_total", "Runs that ended, by runbook and outcome.", "runbook", "outcome")
	m.drills = m.counters("runbook_drills_total", "Drills that ended, by game day and verdict.", "gameday", "verdict")
	m.refusals = m.counters("runbook_guard_refusals_total", "Runs and steps of runs that a guard refused, by guard.", "guard")
	m.firstAction = m.histogram("runbook_alert_to_first_action_seconds",
		"Time from an alert's startsAt until the first action of its run began.", append(latencies, 60, 120, 300, 600))
	m.actions = m.counters("runbook_actions_total", "Uses of actions on targets, by result.", "action", "result")
	m.actionTime = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "runbook_action_duration_seconds", Help: "Time that an action took on one target.", Buckets: latencies,
	}, []string{"action"})
	m.registry.MustRegister(m.actionTime)
}

func (m *Metrics) engine() {
	m.reloaded = m.gauge("runbook_config_last_reload_successful", "Whether the documents were valid when last read.")
	m.reloadedAt = m.gauge("runbook_config_last_reload_success_timestamp_seconds", "When valid documents were last read.")
	m.documents = m.gauge("runbook_documents", "Runbooks that are loaded.")
	m.temporalUp = m.gauge("runbook_temporal_up", "Whether Temporal answers.")
	m.temporalLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "runbook_temporal_lost_total", Help: "How often Temporal stopped to answer.",
	})
	m.registry.MustRegister(m.temporalLost)
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// Register adds collectors of others.
func (m *Metrics) Register(c ...prometheus.Collector) { m.registry.MustRegister(c...) }

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Count adds alerts of one decision.
func (m *Metrics) Count(d Decision, n int) { m.alerts.WithLabelValues(string(d)).Add(float64(n)) }

// CountReconciled is Count for alerts that no message brought.
func (m *Metrics) CountReconciled(d Decision, n int) {
	m.reconciled.WithLabelValues(string(d)).Add(float64(n))
}

// Reconciled records that every Alertmanager was asked what fires, and answered.
func (m *Metrics) Reconciled() { m.reconciledAt.SetToCurrentTime() }

// DrillConcluded counts a drill that has ended.
func (m *Metrics) DrillConcluded(gameday, verdict string) {
	m.drills.WithLabelValues(gameday, verdict).Inc()
}

// Answered records a message from Alertmanager.
func (m *Metrics) Answered(status int, took time.Duration) {
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
	m.requestTime.Observe(took.Seconds())
}

// Reloaded records that the documents were read again. A failure leaves the
// count and the time of those that are in use.
func (m *Metrics) Reloaded(ok bool, documents int) {
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadedAt.SetToCurrentTime()
	m.documents.Set(float64(documents))
}

// Temporal records whether it answers; lost counts the changes for the worse.
func (m *Metrics) Temporal(up, lost bool) {
	if lost {
		m.temporalLost.Inc()
	}
	if up {
		m.temporalUp.Set(1)
	} else {
		m.temporalUp.Set(0)
	}
}
