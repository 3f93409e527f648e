package metrics

import (
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Concluded records a run that ended. The caller sees to it that each run is
// recorded once.
func (m *Metrics) Concluded(r run.Run) {
	m.concluded.WithLabelValues(r.Runbook, string(r.Outcome)).Inc()
	for _, guard := range refusedBy(r) {
		m.refusals.WithLabelValues(string(guard)).Inc()
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

// refusedBy are the guards that kept a run, or steps of it, from acting.
func refusedBy(r run.Run) (guards []ledger.Guard) {
	if a := r.Admission; a != nil && a.State == ledger.Refused {
		guards = append(guards, a.Guard)
	}
	if a := r.Autonomy; a != nil && a.Effective == runbooks.Off {
		guards = append(guards, "autonomy")
	}
	for _, s := range r.Steps {
		if s.Guard != "" && !s.WouldRun {
			guards = append(guards, s.Guard)
		}
	}
	return guards
}

func (m *Metrics) acted(action string, r run.Result) {
	result := string(run.Done)
	if r.Error != "" {
		result = string(r.Class)
	}
	m.actions.WithLabelValues(action, result).Inc()
	m.actionTime.WithLabelValues(action).Observe(r.EndedAt.Sub(r.StartedAt).Seconds())
}
