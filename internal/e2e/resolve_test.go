package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
)

// lingering is a runbook that makes a silence, and then is under way for a time.
func lingering(policy, time string) string {
	return strings.NewReplacer("POLICY", policy, "TIME", time).Replace(`---
runbook: when-over-POLICY
summary: Leave a mark, then take time.
triggers: [{alert: Passing}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
on_resolve: POLICY
steps:
  - id: mark
    do: alertmanager.silence
    with: {matchers: ['mark="POLICY"'], duration: 1h, comment: POLICY}
  - id: linger
    do: wait
    with: {duration: TIME}
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s")}
`)
}

func TestTheEndOfAnAlertDoesWhatTheRunbookSays(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), lingering("cancel", "10m")+lingering("undo", "10m")+lingering("finish", "3s")).start()
	sender := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: h.webhook()}})
	passing := map[string]string{"alertname": "Passing", "serial": "1"}
	startsAt := time.Now()
	raise(t, sender, startsAt, passing)
	eventually(t, 20*time.Second, "three runs to act", func() error {
		if made := silences(t, a); len(made) != 3 {
			return fmt.Errorf("silences: %v", made)
		}
		return nil
	})
	settle(t, sender, startsAt, passing)
	outcomes := map[string]run.Outcome{}
	for _, row := range h.ended(30*time.Second, 3) {
		outcomes[row.Runbook] = row.Outcome
	}
	want := map[string]run.Outcome{
		"when-over-cancel": run.Cancelled, "when-over-undo": run.Cancelled, "when-over-finish": run.Fixed,
	}
	if fmt.Sprint(outcomes) != fmt.Sprint(want) {
		t.Errorf("outcomes %v, want %v", outcomes, want)
	}
	if got, want := fmt.Sprint(silences(t, a)), "map[cancel active:1 finish active:1 undo expired:1]"; got != want {
		t.Errorf("silences %s, want %s", got, want)
	}
	if resolved := h.decision("resolved"); resolved != 3 {
		t.Errorf("%d runs were told", resolved)
	}
}

// A firing that comes late, from a peer or after an outage, starts nothing: not
// in the engine that saw the end, and not in the next one.
func TestLateFiringsStartNothing(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), silencer).start()
	p := newTap(t, h.webhook())
	sender := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: p.URL}})
	first := time.Now().Add(-time.Minute)
	raise(t, sender, first, mark(1))
	h.ended(20*time.Second, 1)
	settle(t, sender, first, mark(1))
	eventually(t, 20*time.Second, "the end to be heard of", func() error {
		if h.decision("ended") != 1 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	raise(t, sender, time.Now(), mark(1))
	h.ended(20*time.Second, 2)

	late := p.seen()[0].body
	redeliver := func(wantStale int) {
		t.Helper()
		response, err := http.Post(h.webhook(), "application/json", bytes.NewReader(late))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if stale := h.decision("stale"); response.StatusCode != http.StatusOK || stale != wantStale {
			t.Errorf("answered %s, %d stale", response.Status, stale)
		}
	}
	redeliver(1)
	h.process.kill()
	h.start()
	redeliver(1)
	fixed(t, h, 10*time.Second, 2)
}
