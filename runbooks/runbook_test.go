package runbooks_test

import (
	"testing"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
)

// load is the set of the documents in one file, all of which must be valid.
func load(t testing.TB, documents string) *runbooks.Set {
	t.Helper()
	set, problems := runbooks.Load(diag.Sources{"test.yaml": []byte(documents)}, runbooks.Options{Catalog: testCatalog()})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

// one is the only runbook of a file.
func one(t testing.TB, document string) *runbooks.Runbook {
	t.Helper()
	all := load(t, document).All()
	if len(all) != 1 {
		t.Fatalf("%d runbooks", len(all))
	}
	return all[0]
}
