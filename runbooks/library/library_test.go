package library_test

import (
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/library"
)

func load(t *testing.T) *runbooks.Set {
	t.Helper()
	sources := diag.Sources{}
	err := fs.WalkDir(library.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.yaml") {
			return err
		}
		sources[path], err = fs.ReadFile(library.FS(), path)
		return err
	})
	if err != nil || len(sources) == 0 {
		t.Fatalf("read %d documents: %v", len(sources), err)
	}
	set, problems := runbooks.Load(sources, runbooks.Options{Catalog: std.Catalog(nil)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEveryDocumentLints(t *testing.T) {
	if len(load(t).All()) == 0 {
		t.Error("the library is empty")
	}
}

// The alert of deploy/alerts/orders.yml, as Alertmanager sends it.
func poolAlert() runbooks.Alert {
	return runbooks.Alert{
		Status: "firing", Fingerprint: "1", StartsAt: time.Unix(1, 0),
		Labels: map[string]string{"alertname": "DBPoolExhausted", "severity": "critical", "env": "prod", "database": "orders"},
	}
}

func TestPoolRunbookAnswersItsAlert(t *testing.T) {
	set, alert := load(t), poolAlert()
	found := set.Match(&alert)
	if len(found) != 1 || found[0].Runbook != "db-pool-exhausted" {
		t.Fatalf("%v answer it", found)
	}
	p := found[0].ForAlert(alert)
	if p.Refusal != "" || p.Params["database"] != "orders" || p.Params["older_than"] != "30s" {
		t.Errorf("refused %q, params %v", p.Refusal, p.Params)
	}
	alert.Annotations = map[string]string{"older_than": "3s"}
	if p := found[0].ForAlert(alert); p.Params["older_than"] != "3s" {
		t.Errorf("the annotation gives %v", p.Params)
	}
	alert.Labels["severity"] = "warning"
	if found := set.Match(&alert); len(found) != 0 {
		t.Error("a warning starts it")
	}
}
