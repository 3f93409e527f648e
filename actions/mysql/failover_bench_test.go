package mysql_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

// BenchmarkFailover is from the fault to the first write that the new primary
// acknowledges, by the steps of runbook mysql-primary-down: 20 failovers, of
// primaries that are killed and that hang. The alert and the way of clients are not in it.
func BenchmarkFailover(b *testing.B) {
	const looks = "{primary: a, replicas: [b], heartbeat: 3s, misses: "
	var all []time.Duration
	for i := range 20 {
		fault := []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP}[i%2]
		b.Run(fmt.Sprintf("%d %s", i+1, fault), func(b *testing.B) {
			servers := shop(b, "b")
			catalog := open(b, servers)
			b.ResetTimer()
			began := time.Now()
			if err := syscall.Kill(servers["a"].PID(), fault); err != nil {
				b.Fatal(err)
			}
			eventually(b, "it is taken for dead", func() bool {
				got, err := run(b, catalog, "mysql.primary_dead", looks+"2}")
				return err == nil && got["dead"] == true
			})
			kill9(b, servers["a"]) // the fence
			if _, err := run(b, catalog, "mysql.failover", looks+"1, fenced: true}"); err != nil {
				b.Fatal(err)
			}
			if err := servers["b"].writable(b); err != nil {
				b.Fatal(err)
			}
			all = append(all, time.Since(began))
			b.ReportMetric(all[len(all)-1].Seconds(), "s/recovery")
		})
	}
	slices.Sort(all)
	if n := len(all); n > 0 {
		b.Logf("recovery over %d runs: p50 %s, p95 %s, worst %s", n, all[n/2].Round(time.Millisecond), all[(n*95-1)/100].Round(time.Millisecond), all[n-1].Round(time.Millisecond))
	}
}
