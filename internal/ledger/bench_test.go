package ledger_test

import (
	"fmt"
	"testing"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// BenchmarkTurn is one turn with ten thousand waiting: a run ends, the next one
// begins, and another comes to the end of the queue.
func BenchmarkTurn(b *testing.B) {
	for _, names := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("names=%d", names), func(b *testing.B) {
			l, limits := ledger.New(start), ledger.Limits{MaxRuns: 10}
			admit := func(n int) ledger.Op {
				a := longRun(n)
				a.Alert, a.Severity, a.Resource = fmt.Sprint("A", n%names), "warning", fmt.Sprint(n)
				return ledger.Op{Admit: &a}
			}
			n, acting := 0, []string{}
			ask := func() {
				op := admit(n)
				if answers, _ := l.Apply(start, limits, []ledger.Op{op}); answers[0].State == ledger.Admitted {
					acting = append(acting, op.Admit.Run)
				}
				n++
			}
			for n < 10_010 {
				ask()
			}
			for b.Loop() {
				_, effects := l.Apply(start, limits, []ledger.Op{{Release: &ledger.Release{Run: acting[0], Acted: true}}})
				acting = append(acting[1:], effects[0].Run)
				ask()
			}
		})
	}
}
