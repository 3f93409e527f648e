package admission_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// BenchmarkAdmit is what one admission costs a run, on a server and a worker in
// the same process that have nothing else to do.
func BenchmarkAdmit(b *testing.B) {
	d := newDesk(b, lease(30*time.Second), 0)
	d.admit("heal.first", "first")
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		run := fmt.Sprintf("heal.%d", n)
		began := time.Now()
		answer := d.admit(run, run)
		took = append(took, time.Since(began))
		d.is(answer, ledger.Admitted, "")
		b.StopTimer()
		d.release(run)
		b.StartTimer()
	}
	reportLatency(b, took)
}

// BenchmarkAdmitTogether is a thousand admissions at once: what each of them
// waits, and how many a second there are.
func BenchmarkAdmitTogether(b *testing.B) {
	const runs = 1000
	d := newDesk(b, lease(10*time.Minute), 0)
	d.admit("heal.first", "first")
	took := make([]time.Duration, 0, runs)
	var all time.Duration
	for n := 0; b.Loop(); n++ {
		each := make([]time.Duration, runs)
		began := time.Now()
		together(runs, func(i int) {
			run := fmt.Sprintf("heal.%d-%d", n, i)
			began := time.Now()
			if a := d.admit(run, run); a.State != ledger.Admitted {
				b.Errorf("%s: %+v", run, a)
			}
			each[i] = time.Since(began)
		})
		all += time.Since(began)
		took = append(took, each...)
		b.StopTimer()
		together(runs, func(i int) { d.release(fmt.Sprintf("heal.%d-%d", n, i)) })
		b.StartTimer()
	}
	reportLatency(b, took)
	b.ReportMetric(float64(len(took))/all.Seconds(), "admissions/s")
}

// BenchmarkBrief is what it costs to look at the kill switch in Temporal.
func BenchmarkBrief(b *testing.B) {
	d := newDesk(b, lease(30*time.Second), 0)
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann"}})
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if s, err := d.Brief(b.Context()); err != nil || s.Halt == nil {
			b.Fatal(s, err)
		}
		took = append(took, time.Since(began))
	}
	reportLatency(b, took)
}

func reportLatency(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	at := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	b.ReportMetric(at(1), "max-ms")
}
