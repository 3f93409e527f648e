package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The whole program: what a person waits for before anything
// happens.
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "runbook")
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	b.Run("floor", func(b *testing.B) { start(b, "true") }) // what any process costs here
	b.Run("version", func(b *testing.B) { start(b, program, "version") })
	b.Run("actions", func(b *testing.B) { start(b, program, "actions") })
}

func start(b *testing.B, program string, args ...string) {
	for b.Loop() {
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
}
