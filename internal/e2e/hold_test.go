package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
)

// patient works for a while, and holds the page meanwhile.
const patient = `
runbook: patient
summary: Work until the mark is there.
triggers: [{alert: Mark}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
for: 1s
hold_page: 5m
steps:
  - id: mark
    do: alertmanager.silence
    with: {matchers: ['mark="${params.serial}"'], duration: 1h, comment: 'mark ${params.serial}', connection: one}
verify:
  do: alertmanager.alerts
  with: {matchers: ['alertname="Go"'], connection: one}
  until: count > 0
  every: 1s
  within: 1m
`

func held(t *testing.T, in *lab.Alertmanager) string {
	t.Helper()
	for about := range silences(t, in) {
		if strings.HasPrefix(about, "held while run ") {
			return about[strings.LastIndex(about, " ")+1:]
		}
	}
	return "no"
}

// Two Alertmanagers that are no cluster know nothing of each other's silences.
func TestAPageIsHeldInEachAlertmanagerWhileARunWorks(t *testing.T) {
	t.Parallel()
	one, other := startAlertmanager(t, lab.AlertmanagerOptions{}), startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, fmt.Sprintf("connections:\n  one: {alertmanager: {url: '%s'}}\n  other: {alertmanager: {url: '%s'}}\nalertmanagers: [one, other]\n",
		one.URL, other.URL), patient).start()
	if err := one.Reconfigure(t.Context(), lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: h.webhook()}}); err != nil {
		t.Fatal(err)
	}
	raise(t, one, time.Now(), mark(1))
	both := func(state string) func() error {
		return func() error {
			if a, b := held(t, one), held(t, other); a != state || b != state {
				return fmt.Errorf("the silences are %s and %s, not %s", a, b, state)
			}
			return nil
		}
	}
	eventually(t, time.Minute, "the page to be held", both("active"))
	raise(t, one, time.Now(), map[string]string{"alertname": "Go"})
	fixed(t, h, time.Minute, 1)
	eventually(t, time.Minute, "the page to be released", both("expired"))
}

// What the engine keeps of an alert is not what Alertmanager lists: only the
// fingerprint says that it still fires.
func TestAnAlertWithALongLabelStillFires(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), strings.Replace(silencer, "autonomy: auto", "autonomy: auto\nfor: 1s", 1)).start()
	if err := a.Reconfigure(t.Context(), lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: h.webhook()}}); err != nil {
		t.Fatal(err)
	}
	long := mark(1)
	long["query"] = strings.Repeat("x", 5<<10)
	raise(t, a, time.Now(), long)
	fixed(t, h, time.Minute, 1)
	marks(t, a, 1)
}
