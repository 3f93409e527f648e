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

// forLong is a step that the test does not wait for, toldTo one that ends when an
// alert says so.
const (
	forLong = `{id: linger, do: wait, with: {duration: 10m}}`
	toldTo  = `{id: linger, do: wait, with: {duration: 0s}, verify: {do: alertmanager.alerts, with: {matchers: ['alertname="Go"']}, until: count > 0, every: 200ms, within: 5m}}`
)

// lingering is a runbook that makes a silence, and then is under way.
func lingering(policy, step string) string {
	return strings.NewReplacer("POLICY", policy, "STEP", step).Replace(`---
runbook: when-over-POLICY
summary: Leave a mark, then be under way.
triggers: [{alert: Passing}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
on_resolve: POLICY
steps:
  - id: mark
    do: alertmanager.silence
    with: {matchers: ['mark="POLICY"'], duration: 1h, comment: POLICY}
  - STEP
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s")}
`)
}

func TestTheEndOfAnAlertDoesWhatTheRunbookSays(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), lingering("cancel", forLong)+lingering("undo", forLong)+lingering("finish", toldTo)).start()
	sender := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: h.webhook()}})
	passing := map[string]string{"alertname": "Passing", "serial": "1"}
	startsAt := time.Now()
	raise(t, sender, startsAt, passing)
	eventually(t, time.Minute, "three runs to act", func() error {
		if made := silences(t, a); len(made) != 3 {
			return fmt.Errorf("silences: %v", made)
		}
		return nil
	})
	settle(t, sender, startsAt, passing)
	eventually(t, time.Minute, "each run to be told", func() error {
		if told := h.decision("resolved"); told != 3 {
			return fmt.Errorf("%d were", told)
		}
		return nil
	})
	raise(t, a, time.Now(), map[string]string{"alertname": "Go"})
	outcomes := map[string]run.Outcome{}
	for _, row := range h.ended(time.Minute, 3) {
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
	h.ended(time.Minute, 1)
	settle(t, sender, first, mark(1))
	eventually(t, time.Minute, "the end to be heard of", func() error {
		if h.decision("ended") != 1 {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	raise(t, sender, time.Now(), mark(1))
	h.ended(time.Minute, 2)

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
	fixed(t, h, time.Minute, 2)
}
