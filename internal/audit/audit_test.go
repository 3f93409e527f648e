package audit_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/runbook-engine/runbook/internal/audit"
)

func lines(t *testing.T, path string) (entries []audit.Entry) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var e audit.Entry
		if err := json.Unmarshal(s.Bytes(), &e); err != nil {
			t.Fatalf("line %q: %v", s.Text(), err)
		}
		entries = append(entries, e)
	}
	return entries
}

func TestEntriesAreAppendedWholeAndForTheOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "audit.jsonl")
	for round := range 2 {
		log, err := audit.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				e := audit.Entry{Kind: audit.Acting, Actor: "ada", Run: fmt.Sprint(round, i), Target: "a\nb \"c\""}
				if err := log.Write(e); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	entries := lines(t, path)
	seen := map[string]bool{}
	for _, e := range entries {
		seen[e.Run] = true
		if e.Time.IsZero() || e.Target != "a\nb \"c\"" {
			t.Errorf("entry %+v", e)
		}
	}
	if len(entries) != 200 || len(seen) != 200 {
		t.Errorf("%d lines of %d runs, want 200", len(entries), len(seen))
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestAFileThatCanNotBeWrittenIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Open(filepath.Join(dir, "file", "audit.jsonl")); err == nil {
		t.Error("opened below a file")
	}
	state := filepath.Join(dir, "state")
	log, err := audit.Open(filepath.Join(state, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(state); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := log.Write(audit.Entry{Kind: audit.Acting}); err == nil {
		t.Error("wrote below a file")
	}
}
