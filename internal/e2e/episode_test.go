package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
)

// silencer leaves one silence for each run, in the real Alertmanager.
const silencer = `
runbook: silencer
summary: Leave a mark that can be counted.
triggers: [{alert: Mark}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
steps:
  - id: mark
    do: alertmanager.silence
    with: {matchers: ['mark="${params.serial}"'], duration: 1h, comment: 'mark ${params.serial}'}
verify:
  do: wait
  with: {duration: 0s}
  until: duration >= duration("0s")
`

func connect(a *lab.Alertmanager) string {
	return "connections: {am: {alertmanager: {url: '" + a.URL + "'}}}\n"
}

func mark(serial int) map[string]string {
	return map[string]string{"alertname": "Mark", "serial": fmt.Sprint(serial)}
}

// marks checks that each of n alerts left exactly one silence.
func marks(t *testing.T, of *lab.Alertmanager, n int) {
	t.Helper()
	found := silences(t, of)
	if len(found) != n {
		t.Errorf("%d alerts left a silence, want %d: %v", len(found), n, found)
	}
	for about, count := range found {
		if count != 1 {
			t.Errorf("%d silences for %s", count, about)
		}
	}
}

func fixed(t *testing.T, h *host, within time.Duration, n int) {
	t.Helper()
	for _, row := range h.ended(within, n) {
		if row.Outcome != run.Fixed {
			t.Errorf("run %s ended %s: %s", row.ID, row.Outcome, row.Reason)
		}
	}
}

func TestOneRunOfTenDeliveries(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), silencer).start()
	p := newTap(t, h.webhook())
	sender := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: p.URL}})
	raise(t, sender, time.Now(), mark(1))
	eventually(t, time.Minute, "a delivery", func() error {
		if len(p.seen()) == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	body := p.seen()[0].body
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			response, err := http.Post(h.webhook(), "application/json", bytes.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("answered %s", response.Status)
			}
		})
	}
	all.Wait()
	fixed(t, h, time.Minute, 1)
	marks(t, a, 1)
	if started, duplicate := h.decision("started"), h.decision("duplicate"); started != 1 || duplicate != 10 {
		t.Errorf("%d started, %d duplicates", started, duplicate)
	}
}

// raiseInTwo raises n alerts in two Alertmanagers that are peers, and deliver to
// the same receiver at nearly the same time.
func raiseInTwo(t *testing.T, receiver string, n int) {
	t.Helper()
	peers, err := lab.StartAlertmanagers(t.Context(), t.TempDir(), 2, lab.AlertmanagerOptions{
		Webhook: lab.Webhook{URL: receiver}, GroupBy: []string{"..."}, PeerTimeout: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, peer := range peers {
		t.Cleanup(func() { _ = peer.Kill() })
	}
	startsAt := time.Now()
	for serial := range n {
		for _, peer := range peers {
			raise(t, peer, startsAt, mark(serial))
		}
	}
}

// Alertmanagers that notify together deliver at least once, and here twice.
func TestOneRunOfTwoPeers(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), silencer).start()
	p := newTap(t, h.webhook())
	const n = 20
	raiseInTwo(t, p.URL, n)
	bothDeliver(t, p, n)
	fixed(t, h, time.Minute, n)
	marks(t, a, n)
}

// bothDeliver waits for more deliveries than there are alerts.
func bothDeliver(t *testing.T, p *tap, n int) {
	t.Helper()
	eventually(t, time.Minute, "both peers to deliver", func() error {
		if got := len(p.seen()); got <= n {
			return fmt.Errorf("%d deliveries", got)
		}
		return nil
	})
}

// repeat delivers what was delivered again, so many times, all at once.
func repeat(t *testing.T, h *host, deliveries []delivery, times int) {
	var all sync.WaitGroup
	for _, d := range deliveries {
		for range times {
			all.Go(func() {
				response, err := http.Post(h.webhook(), "application/json", bytes.NewReader(d.body))
				if err != nil {
					t.Error(err)
					return
				}
				response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Errorf("answered %s", response.Status)
				}
			})
		}
	}
	all.Wait()
}

// All at once: both peers deliver, the engine is killed and started again, and
// each delivery comes ten more times on both sides of that.
func TestOneEffectOfTenDuplicatesTwoPeersAndARestart(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), silencer).start()
	p := newTap(t, h.webhook())
	const n = 5
	raiseInTwo(t, p.URL, n)
	bothDeliver(t, p, n)
	repeat(t, h, p.seen(), 10)
	h.process.kill()
	h.start()
	repeat(t, h, p.seen(), 10)
	fixed(t, h, time.Minute, n)
	marks(t, a, n)
}

func TestAKillInTheMiddleOfABurst(t *testing.T) {
	t.Parallel()
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, connect(a), silencer).start()
	const n = 100
	p := newTap(t, h.webhook())
	dead := make(chan struct{})
	died := sync.OnceFunc(func() { close(dead) })
	t.Cleanup(died)
	p.before = func(delivery int) {
		if delivery > n/2 {
			<-dead
		}
	}
	sender := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: p.URL}, GroupBy: []string{"..."}})
	var sets []map[string]string
	for serial := range n {
		sets = append(sets, mark(serial))
	}
	raise(t, sender, time.Now(), sets...)
	eventually(t, time.Minute, "the burst to be on its way", func() error {
		if got := p.statuses()[http.StatusOK]; got < 10 {
			return fmt.Errorf("%d deliveries", got)
		}
		return nil
	})
	h.process.kill()
	died()
	eventually(t, time.Minute, "a delivery to fail", func() error {
		if got := p.statuses(); got[http.StatusBadGateway] == 0 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	h.start()
	fixed(t, h, time.Minute, n)
	marks(t, a, n)
	t.Logf("deliveries by status: %v", p.statuses())
}
