package runbooks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
)

// typical is a runbook of the usual size, with a name and an alert of its own.
func typical(n int) string {
	return strings.NewReplacer("everything", fmt.Sprintf("book-%d", n), "alert: A,", fmt.Sprintf("alert: Alert%d,", n)).Replace(everything)
}

func manySources(n int) diag.Sources {
	sources := diag.Sources{}
	for i := range n {
		sources[fmt.Sprintf("%05d.yaml", i)] = []byte(typical(i))
	}
	return sources
}

// The cost of an alert must not depend on how many runbooks there are.
func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			set, problems := runbooks.Load(manySources(n), runbooks.Options{Catalog: testCatalog()})
			if err := problems.Err(); err != nil {
				b.Fatal(err)
			}
			alerts := make([]runbooks.Alert, 1000)
			for i := range alerts {
				alerts[i] = firing(map[string]string{
					"alertname": fmt.Sprintf("Alert%d", i*7%n), "env": "prod", "db": "orders", "severity": "critical",
					"instance": "10.0.0.1:9090", "job": "orders-api", "pod": fmt.Sprintf("orders-%d", i), "namespace": "shop",
				})
			}
			i := 0
			for b.Loop() {
				if found := set.Match(&alerts[i%len(alerts)]); len(found) != 1 {
					b.Fatalf("%d runbooks answer %v", len(found), alerts[i%len(alerts)].Labels)
				}
				i++
			}
		})
	}
}

func BenchmarkLoad1000(b *testing.B) {
	sources := manySources(1000)
	for b.Loop() {
		if _, problems := runbooks.Load(sources, runbooks.Options{Catalog: testCatalog()}); len(problems) > 0 {
			b.Fatal(problems.Err())
		}
	}
}

func BenchmarkForAlert(b *testing.B) {
	rb := one(b, everything)
	alert := firing(map[string]string{"alertname": "A", "env": "prod", "db": "orders"})
	for b.Loop() {
		if p := rb.ForAlert(alert); p.Refusal != "" {
			b.Fatal(p.Refusal)
		}
	}
}

func BenchmarkPrepare(b *testing.B) {
	plan := one(b, everything).ForAlert(firing(map[string]string{"alertname": "A", "env": "prod", "db": "orders"}))
	e, m := runbooks.NewEvaluator(testCatalog()), seen()
	for b.Loop() {
		if p := e.Prepare(&plan, m, 1); !p.Run {
			b.Fatal(p.Reason)
		}
	}
}
