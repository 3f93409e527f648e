package webhook

import (
	"encoding/json"

	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// Witness hears of each alert that a message brought, and what was decided about
// it. It must not block.
type Witness interface {
	Seen(drills.Seen)
	// Suspends names the drill that keeps a runbook from acting on an alert, or
	// gives "".
	Suspends(runbook string, labels map[string]string) string
}

// maxWitnessed is what a witness gets of a message, in bytes.
const maxWitnessed = 16 << 10

// witness tells of an alert that a message brought. What was found by asking
// Alertmanager did not come by the webhook.
func (w *work) witness(a *runbooks.Alert, d metrics.Decision, runID string) {
	if w.Witness == nil || w.message == nil {
		return
	}
	w.Witness.Seen(drills.Seen{Alert: *a, At: w.message.at, Decision: string(d), RunID: runID, Body: w.message.evidence()})
}

// evidence is the message as it came; one that is too long is cut, and then a
// text.
func (m *Message) evidence() json.RawMessage {
	if len(m.body) <= maxWitnessed {
		return m.body
	}
	text, err := json.Marshal(string(m.body[:maxWitnessed]))
	if err != nil {
		return nil
	}
	return text
}
