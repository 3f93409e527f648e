package runbooks_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/runbooks"
)

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"b.yaml", "a.yml", "a_test.yaml", "notes.md", ".hidden.yaml", "deep/er/c.yaml", ".git/d.yaml", "..data/e.yaml", "f.YAML",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("runbook: x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files, err := runbooks.Files([]string{dir, filepath.Join(dir, "a_test.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i], _ = filepath.Rel(dir, files[i])
	}
	if got := strings.Join(files, " "); got != "a.yml b.yaml deep/er/c.yaml a_test.yaml" {
		t.Errorf("found %s", got)
	}
	if _, err := runbooks.Files([]string{filepath.Join(dir, "nothing")}); err == nil || !strings.Contains(err.Error(), "read documents") {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestLoadPaths(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "runbook: a"+look)
	write("drill.yaml", "gameday: drill\n")
	set, err := runbooks.LoadPaths([]string{dir}, runbooks.Options{Catalog: testCatalog()})
	if err != nil || names(set.All()) != "a" {
		t.Fatalf("loaded %v, %v", set, err)
	}
	write("b.yaml", "runbook: b\nsumary: x\n")
	_, err = runbooks.LoadPaths([]string{dir}, runbooks.Options{Catalog: testCatalog()})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "b.yaml")+`:2:1: unknown key "sumary" in the document (unknown-key)`) {
		t.Errorf("a mistake: %v", err)
	}
}
