package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
)

// The messages of an alert went nowhere while the engine was down, and
// Alertmanager does not repeat them for an hour. The engine finds the alert
// when it starts, and the message that comes at last starts nothing more.
func TestAnAlertThatWasMissedIsFound(t *testing.T) {
	t.Parallel()
	options := lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: "http://127.0.0.1:9/nobody"}}
	a := startAlertmanager(t, options)
	h := newHost(t, connect(a)+"webhook: {receiver: webhook}\n", silencer)
	// Alertmanager itself is given the time of a group_wait before an alert counts
	// as missed.
	raise(t, a, time.Now().Add(-time.Minute), mark(1))
	eventually(t, time.Minute, "the alert to be grouped", func() error {
		if n := len(alertsOf(t, a, "Mark")); n != 1 {
			return fmt.Errorf("%d alerts", n)
		}
		return nil
	})
	h.start()
	began := time.Now()
	fixed(t, h, time.Minute, 1)
	t.Logf("the run had ended %s after the engine was ready", time.Since(began).Round(time.Millisecond))
	if started := h.decision("started"); started != 0 {
		t.Errorf("%d runs were started by messages, so that nothing is shown", started)
	}
	options.Webhook.URL = h.webhook()
	if err := a.Reconfigure(t.Context(), options); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the message", func() error {
		if n := h.decision("duplicate"); n != 1 {
			return fmt.Errorf("%d duplicates", n)
		}
		return nil
	})
	fixed(t, h, time.Second, 1)
	marks(t, a, 1)
}
