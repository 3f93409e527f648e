package expression_test

import (
	"testing"

	"github.com/runbook-engine/runbook/runbooks/expression"
)

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		if _, err := expression.Bool(`steps.a.output.value > 0.9 and steps.a.outcome != "fixed"`, testEnv); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCondition(b *testing.B) {
	program, err := expression.Bool(`steps.a.output.value > 0.9 and steps.a.outcome != "fixed"`, testEnv)
	if err != nil {
		b.Fatal(err)
	}
	values := testValues()
	for b.Loop() {
		if _, err := program.True(values); err != nil {
			b.Fatal(err)
		}
	}
}
