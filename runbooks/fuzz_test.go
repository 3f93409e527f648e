package runbooks_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
)

// Whatever a document says: it loads, or it is refused with places in it.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob(goldens)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, one := range archive.Files {
			if one.Name != "want" {
				f.Add(one.Data)
			}
		}
	}
	f.Add([]byte(everything))
	options := runbooks.Options{Catalog: testCatalog(), Windows: []string{"freeze"}, Connections: connections(f, "{orders: {postgres: {name: a}}}")}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 16<<10 {
			return // larger ones say nothing new, and take long
		}
		set, problems := runbooks.Load(diag.Sources{"f.yaml": src}, options)
		if (set == nil) == (len(problems) == 0) {
			t.Fatalf("set %v, problems %v", set, problems)
		}
		lines := strings.Count(string(src), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines+1 || p.Col < 1 || p.Code == "" || p.Text == "" || strings.Contains(p.Text, "\n") {
				t.Errorf("of %d lines: %+v", lines, p)
			}
		}
		if set != nil {
			for _, rb := range set.All() {
				roundTrip(t, rb)
			}
		}
	})
}

func roundTrip(t *testing.T, rb *runbooks.Runbook) {
	t.Helper()
	raw, err := json.Marshal(rb.Document)
	if err != nil {
		t.Fatal(err)
	}
	var back runbooks.Document
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	if back.Digest() != rb.Digest() {
		t.Errorf("the digest was %s and is %s:\n%s", rb.Digest(), back.Digest(), raw)
	}
}
