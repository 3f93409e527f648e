//go:build unix

package e2e

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks/library"
)

// BenchmarkFailover is from the fault to the first write that a client has
// acknowledged again, with a heartbeat of 3 s: 20 failovers, of all faults in turn.
func BenchmarkFailover(b *testing.B) {
	var all []time.Duration
	for i := range 20 {
		b.Run(fmt.Sprintf("%d %s", i+1, faults[i%len(faults)]), func(b *testing.B) {
			c := newCluster(b, failoverOptions{heartbeat: 3 * time.Second, synchronous: true})
			b.ResetTimer()
			took := c.takesOver(faults[i%len(faults)])
			all = append(all, took)
			b.ReportMetric(took.Seconds(), "s/recovery")
		})
	}
	percentiles(b, "recovery", all)
}

func percentiles(b *testing.B, what string, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	if n := len(all); n > 0 {
		b.Logf("%s over %d runs: p50 %s, p95 %s, worst %s", what, n, all[n/2].Round(time.Millisecond), all[(n*95-1)/100].Round(time.Millisecond), all[n-1].Round(time.Millisecond))
	}
}

// BenchmarkPoolRelief is from the start of the run to the moment when less than
// 70 % of a pool of 100 is in use, all of which was held by idle transactions.
func BenchmarkPoolRelief(b *testing.B) {
	var all []time.Duration
	for i := range 10 {
		b.Run(fmt.Sprint(i+1), func(b *testing.B) {
			took := relief(b)
			all = append(all, took)
			b.ReportMetric(took.Seconds(), "s/relief")
		})
	}
	percentiles(b, "relief", all)
}

func relief(b *testing.B) time.Duration {
	l, err := lab.Start(b.Context(), lab.Options{Dir: b.TempDir(), Orders: lab.OrdersOptions{PoolSize: 100}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	h := newHost(b, fmt.Sprintf("connections:\n  orders: {postgres: {dsn_file: %s}}\n  prom: {prometheus: {url: '%s'}}\n  people: {alertmanager: {url: '%s'}}\nalertmanagers: [people]\n",
		l.EngineDSNFile, l.Prometheus.URL, l.Alertmanagers[0].URL), hundred(b)).start()
	if err := l.SetWebhook(b.Context(), lab.Webhook{URL: h.webhook()}); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	if _, err := l.Exhaust(b.Context()); err != nil {
		b.Fatal(err)
	}
	relieved, err := l.AwaitPool(b.Context(), func(p lab.Pool) bool { return 10*p.InUse < 7*p.Size })
	if err != nil {
		b.Fatal(err)
	}
	var rows []runs.Row
	eventually(b, time.Minute, "the run to end", func() error {
		if err := h.get("/api/v1/runs?limit=1", &rows); err != nil {
			return err
		}
		if len(rows) != 1 || rows[0].Outcome != run.Fixed {
			return fmt.Errorf("the runs are %v", rows)
		}
		return nil
	})
	return relieved.Sub(rows[0].StartedAt)
}

// hundred is the shipped document, for a pool that is five times as large as that
// of the demo.
func hundred(b *testing.B) string {
	b.Helper()
	return shipped(b, "db-pool-exhausted.yaml", map[string]string{"limit: 20": "limit: 100", "count: 20": "count: 100"})
}

// shipped is a document of the library with some of its text replaced.
func shipped(t testing.TB, name string, changes map[string]string) string {
	t.Helper()
	text, err := fs.ReadFile(library.FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for from, to := range changes {
		if !strings.Contains(changed, from) {
			t.Fatalf("%s has no %q", name, from)
		}
		changed = strings.Replace(changed, from, to, 1)
	}
	return changed
}
