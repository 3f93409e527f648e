package metrics

import (
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
)

// Concluded records a run that ended. The caller sees to it that each run is
// recorded once.
func (m *Metrics) Concluded(r run.Run) {
	m.concluded.WithLabelValues(r.Runbook, string(r.Outcome)).Inc()
	if a := r.Admission; a != nil && a.State == ledger.Refused {
		m.refusals.WithLabelValues(string(a.Guard)).Inc()
	}
	if r.Alert != nil && r.FirstActionAt != nil {
		m.firstAction.Observe(r.FirstActionAt.Sub(r.Alert.StartsAt).Seconds())
	}
	for _, s := range r.Steps {
		for _, result := range s.Results {
			m.acted(s.Do, result)
		}
	}
}

func (m *Metrics) acted(action string, r run.Result) {
	result := string(run.Done)
	if r.Error != "" {
		result = string(r.Class)
	}
	m.actions.WithLabelValues(action, result).Inc()
	m.actionTime.WithLabelValues(action).Observe(r.EndedAt.Sub(r.StartedAt).Seconds())
}
