package toxiproxy_test

import (
	"slices"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

// BenchmarkHealInAFlood measures how long a Recover takes while data floods
// through the proxy and clients do not read it, and that its user is well then.
func BenchmarkHealInAFlood(b *testing.B) {
	connections, listen := own(b)
	_, catalog := open(b, connections)
	fault := bind(b, catalog, "toxiproxy.latency", "{proxy: orders, latency: 50ms, stream: both}")
	var took []time.Duration
	for b.Loop() {
		id := chaos.NewID("bench", time.Now().Format("150405.000000"))
		if err := fault.Inject(b.Context(), id, time.Now().Add(time.Hour)); err != nil {
			b.Fatal(err)
		}
		jam(b, listen)
		begin := time.Now()
		if err := fault.Recover(b.Context(), id); err != nil {
			b.Fatal(err)
		}
		if err := suffers(listen); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "max-ms")
	b.ReportMetric(float64(len(took)), "heals")
}
