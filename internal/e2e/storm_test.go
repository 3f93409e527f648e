package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/lab"
)

const stormAlerts = 5000

// BenchmarkStorm is a storm of alerts on an engine whose breaker is as it comes:
// one page goes out, the alerts beyond the threshold wait as runs, and after a
// person has reset the breaker every one of them is worked off.
func BenchmarkStorm(b *testing.B) {
	for b.Loop() {
		storm(b)
	}
}

func storm(b *testing.B) {
	am, err := lab.StartAlertmanager(b.Context(), filepath.Join(b.TempDir(), "am"), lab.AlertmanagerOptions{
		Webhook: lab.Webhook{URL: "http://127.0.0.1:9/nobody"},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = am.Kill() }()
	x := newBenchOn(b, fmt.Sprintf("connections: {am: {alertmanager: {url: '%s'}}}\n", am.URL))
	before := heap()
	began := time.Now()
	x.deliver(slices.Collect(slices.Chunk(x.alerts(stormAlerts), 20)))
	acked := time.Since(began)
	x.status("open", func(s stormStatus) bool { return s.Storm != nil })
	const threshold = 50
	x.concludes(threshold, time.Minute)
	time.Sleep(5 * time.Second)
	if n := x.concluded(); n != threshold {
		b.Errorf("%d runs acted while the breaker was open, want %d", n, threshold)
	}
	b.ReportMetric(stormAlerts/acked.Seconds(), "alerts-acked/s")
	b.ReportMetric((heap()-before)/stormAlerts, "heap-B/waiting-run")
	if n := pages(b, am.URL); n != 1 {
		b.Errorf("%d pages went out, want 1", n)
	}
	began = time.Now()
	response, err := http.Post(x.url+"/api/v1/storm/reset", "application/json", bytes.NewReader([]byte(`{"backlog": "process", "reason": "a test"}`)))
	if err != nil || response.StatusCode != http.StatusOK {
		b.Fatalf("reset: %v, %v", response, err)
	}
	response.Body.Close()
	x.concludes(stormAlerts, 10*time.Minute)
	b.ReportMetric((stormAlerts-threshold)/time.Since(began).Seconds(), "drained-runs/s")
}

// deliver posts as Alertmanager does: what is answered 503 is sent again.
func (x *bench) deliver(messages [][]map[string]any) {
	var all sync.WaitGroup
	slots := make(chan struct{}, 10)
	for _, m := range messages {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			for {
				switch _, status := x.post(m...); status {
				case http.StatusOK:
					return
				case http.StatusServiceUnavailable:
					time.Sleep(500 * time.Millisecond)
				default:
					x.b.Errorf("answered %d", status)
					return
				}
			}
		})
	}
	all.Wait()
}

type stormStatus struct {
	Storm *struct{} `json:"storm"`
}

func (x *bench) status(what string, reached func(stormStatus) bool) {
	x.b.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var s stormStatus
		x.get("/api/v1/status", &s)
		if reached(s) {
			return
		}
		if time.Now().After(deadline) {
			x.b.Fatalf("the storm breaker is not %s", what)
		}
	}
}

func (x *bench) concludes(n int, within time.Duration) {
	x.b.Helper()
	for deadline := time.Now().Add(within); x.concluded() < n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			x.b.Fatalf("%d of %d runs have ended", x.concluded(), n)
		}
	}
}

func pages(b *testing.B, url string) int {
	b.Helper()
	c, err := alertmanagerapi.Open(alertmanagerapi.Config{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	all, err := c.Alerts(b.Context(), alertmanagerapi.Filter{Matchers: []string{"alertname=RunbookStorm"}, Active: true})
	if err != nil {
		b.Fatal(err)
	}
	return len(all)
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
