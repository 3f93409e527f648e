package engine

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runbook-engine/runbook/runbooks"
)

// windows are the maintenance windows of an engine that runs: it says in the log
// when one is no longer known, and in its metrics which are open.
type windows struct {
	config Config
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	unknown map[string]string
}

func newWindows(c Config, log *slog.Logger) *windows {
	w := &windows{config: c, log: log, now: time.Now, unknown: map[string]string{}}
	w.at(w.now()) // a calendar that can not be read is in the log from the start
	return w
}

// at is every window at a moment.
func (w *windows) at(now time.Time) []runbooks.Window {
	all := w.config.windows(now)
	for _, one := range all {
		w.note(one)
	}
	return all
}

// open names those that are open, sorted.
func (w *windows) open(now time.Time) []string {
	open := []string{}
	for _, one := range w.at(now) {
		if one.Open {
			open = append(open, one.Name)
		}
	}
	return open
}

func (w *windows) note(one runbooks.Window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.unknown[one.Name]
	if one.Unknown == before {
		return
	}
	w.unknown[one.Name] = one.Unknown
	if one.Unknown != "" {
		w.log.Error("a window counts as open, and nothing acts without consent", "window", one.Name, "error", one.Unknown)
		return
	}
	w.log.Info("a window is known again", "window", one.Name)
}

var (
	windowOpen  = prometheus.NewDesc("runbook_window_open", "Whether a maintenance window is open, or counts as open.", []string{"window"}, nil)
	windowKnown = prometheus.NewDesc("runbook_window_known", "Whether it can be told if a maintenance window is open; when not, it counts as open.", []string{"window"}, nil)
)

// Describe implements prometheus.Collector.
func (w *windows) Describe(out chan<- *prometheus.Desc) { out <- windowOpen; out <- windowKnown }

// Collect implements prometheus.Collector.
func (w *windows) Collect(out chan<- prometheus.Metric) {
	for _, one := range w.at(w.now()) {
		out <- prometheus.MustNewConstMetric(windowOpen, prometheus.GaugeValue, value(one.Open), one.Name)
		out <- prometheus.MustNewConstMetric(windowKnown, prometheus.GaugeValue, value(one.Unknown == ""), one.Name)
	}
}

func value(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
