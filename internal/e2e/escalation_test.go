package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
)

// helpless acts, does not help, and calls people; the other only says what it
// would do. Both answer every alert, also those that the engine raises.
const helpless = `
runbook: helpless
summary: Try, and call people.
triggers: [{matchers: ['serial=~".+"']}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
steps:
  - id: mark
    do: alertmanager.silence
    with: {matchers: ['mark="${params.serial}"'], duration: 1h, comment: 'mark ${params.serial}', connection: others}
verify: {do: wait, with: {duration: 0s}, until: duration < duration("0s"), every: 1s, within: 1s}
otherwise: [undo, escalate]
escalate: {severity: page, summary: 'Nothing helped ${params.serial}'}
---
runbook: careful
summary: Say what should be done.
triggers: [{matchers: ['serial=~".+"']}]
steps:
  - id: mark
    do: alertmanager.silence
    with: {matchers: ['mark="careful"'], duration: 1h, comment: careful, connection: others}
`

// The engine's own alerts reach the people's Alertmanager, which sends them to
// the engine like any other. They start nothing.
func TestPeopleAreToldOnceAndTheEngineDoesNotAnswerItself(t *testing.T) {
	t.Parallel()
	people := startAlertmanager(t, lab.AlertmanagerOptions{GroupBy: []string{"..."}})
	others := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, "connections:\n  others: {alertmanager: {url: '"+others.URL+"'}}\n  people: {alertmanager: {url: '"+people.URL+"'}}\n"+
		"alertmanagers: [people]\n", helpless).start()
	if err := people.Reconfigure(t.Context(), lab.AlertmanagerOptions{GroupBy: []string{"..."}, Webhook: lab.Webhook{URL: h.webhook()}}); err != nil {
		t.Fatal(err)
	}
	raise(t, people, time.Now(), mark(7))
	outcomes, ids := map[string]run.Outcome{}, map[string]string{}
	for _, row := range h.ended(time.Minute, 2) {
		outcomes[row.Runbook], ids[row.Runbook] = row.Outcome, row.ID
	}
	if outcomes["helpless"] != run.NotFixed || outcomes["careful"] != run.Skipped {
		t.Errorf("outcomes %v", outcomes)
	}
	eventually(t, time.Minute, "the engine's own alerts to come back", func() error {
		if own := h.decision("own"); own < 2 {
			return fmt.Errorf("%d did", own)
		}
		return nil
	})
	h.ended(time.Second, 2)
	calls := alertsOf(t, people, "RunbookEscalation")
	if len(calls) != 1 || calls[0].Labels["severity"] != "page" || calls[0].Labels["serial"] != "7" || calls[0].Annotations["summary"] != "Nothing helped 7" {
		t.Errorf("escalations: %+v", calls)
	}
	proposals := alertsOf(t, people, "RunbookProposal")
	if len(proposals) != 1 || proposals[0].Labels["runbook"] != "careful" {
		t.Errorf("proposals: %+v", proposals)
	}
	if got, want := fmt.Sprint(silences(t, others)), "map[mark 7 expired:1]"; got != want {
		t.Errorf("silences %s, want %s", got, want)
	}
	if own := h.decision("own"); own != 2 {
		t.Errorf("people were told %d times, want 2", own)
	}
	// A person may settle it before the alert ends.
	response, err := http.Post(h.url("/api/v1/runs/"+ids["helpless"]+"/resolve"), "application/json", strings.NewReader(`{"reason": "mended by hand"}`))
	if err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("resolve: %v, %v", response, err)
	}
	response.Body.Close()
	eventually(t, time.Minute, "the page to end", func() error {
		if left := len(alertsOf(t, people, "RunbookEscalation")); left > 0 {
			return fmt.Errorf("%d fire", left)
		}
		return nil
	})
	// When the matter is settled, so are the pages, and people hear that once.
	settle(t, people, time.Time{}, mark(7))
	eventually(t, time.Minute, "the pages to end", func() error {
		if left := len(alertsOf(t, people, "RunbookEscalation")) + len(alertsOf(t, people, "RunbookProposal")); left > 0 {
			return fmt.Errorf("%d fire", left)
		}
		if own := h.decision("own"); own != 4 {
			return fmt.Errorf("people were told %d times, want 4", own)
		}
		return nil
	})
}

func alertsOf(t *testing.T, a *lab.Alertmanager, name string) []*models.GettableAlert {
	t.Helper()
	answer, err := a.API.Alert.GetAlerts(alert.NewGetAlertsParamsWithContext(t.Context()).WithFilter([]string{`alertname="` + name + `"`}))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Payload
}
