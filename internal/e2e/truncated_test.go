package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
)

// A receiver with max_alerts: 1 is told of one alert, and the rest is fetched;
// from the oldest Alertmanager that is supported and from a current one.
func TestAlertsThatAMessageLeavesOutAreFetched(t *testing.T) {
	t.Parallel()
	current, err := lab.CurrentAlertmanager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"installed": "", "current": current} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := lab.AlertmanagerOptions{Program: program, GroupBy: []string{"alertname"}, GroupWait: 500 * time.Millisecond}
			sender := startAlertmanager(t, options)
			h := newHost(t, connect(sender), silencer).start()
			options.Webhook = lab.Webhook{URL: h.webhook(), MaxAlerts: 1}
			if err := sender.Reconfigure(t.Context(), options); err != nil {
				t.Fatal(err)
			}
			// Without a startsAt Alertmanager sets one, in nanoseconds, of which its
			// list tells milliseconds.
			raise(t, sender, time.Time{}, mark(1), mark(2), mark(3), mark(4))
			raise(t, sender, time.Now(), map[string]string{"alertname": "Other", "serial": "5"})
			fixed(t, h, time.Minute, 4)
			marks(t, sender, 4)
			// The message that the first is over has status resolved, while three fire.
			settle(t, sender, time.Time{}, mark(1))
			eventually(t, time.Minute, "the end to be heard of", func() error {
				if over := h.decision("ended"); over != 1 {
					return fmt.Errorf("%d runs were over", over)
				}
				return nil
			})
			fixed(t, h, time.Minute, 4)
		})
	}
}
