package library_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/deploy"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/rehearsal"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/library"
	"github.com/runbook-engine/runbook/runbooks/unittest"
)

// files are those of the library that are unit tests, or those that are not.
func files(t *testing.T, tests bool) diag.Sources {
	t.Helper()
	sources := diag.Sources{}
	names, err := fs.Glob(library.FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if unittest.IsTest(name) != tests {
			continue
		}
		if sources[name], err = fs.ReadFile(library.FS(), name); err != nil {
			t.Fatal(err)
		}
	}
	return sources
}

func load(t *testing.T) *runbooks.Set {
	t.Helper()
	set, problems := runbooks.Load(files(t, false), runbooks.Options{Catalog: std.Catalog(nil)})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return set
}

func loadTests(t *testing.T, set *runbooks.Set) []*unittest.Tested {
	t.Helper()
	all, problems := unittest.Load(files(t, true), set, std.Catalog(nil))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryDocumentLints(t *testing.T) {
	if len(load(t).All()) == 0 {
		t.Error("the library is empty")
	}
}

func TestEveryDocumentSaysWhatANightNeeds(t *testing.T) {
	for _, rb := range load(t).All() {
		if rb.At.File != rb.Runbook+".yaml" {
			t.Errorf("%s stands in %s", rb.Runbook, rb.At.File)
		}
		if rb.Description == "" || rb.Verify == nil || rb.Escalate == nil {
			t.Errorf("%s lacks a description, a verify or an escalation", rb.Runbook)
		}
	}
}

func TestEveryDocumentHasUnitTestsThatPass(t *testing.T) {
	set := load(t)
	tests := loadTests(t, set)
	for _, rb := range set.All() {
		has := slices.ContainsFunc(tests, func(u *unittest.Tested) bool {
			return u.Test == rb.Runbook && u.Node.At.File == rb.Runbook+"_test.yaml"
		})
		if !has {
			t.Errorf("%s has no %s_test.yaml", rb.Runbook, rb.Runbook)
		}
	}
	results := rehearsal.New(std.Catalog(nil), set).Run(tests)
	if rehearsal.Failed(results) == 0 {
		return
	}
	var text strings.Builder
	if err := rehearsal.WriteText(&text, results, files(t, true), true); err != nil {
		t.Fatal(err)
	}
	t.Error(text.String())
}

// Each document is seen both to help and to call people.
func TestUnitTestsShowTheGoodEndAndTheBad(t *testing.T) {
	seen := map[string]map[string]bool{}
	for _, u := range loadTests(t, load(t)) {
		ends := map[string]bool{}
		for _, c := range u.Cases {
			ends[c.Expect.Outcome] = true
			ends["told"] = ends["told"] || c.Expect.Told != nil && len(*c.Expect.Told) > 0
		}
		seen[u.Test] = ends
	}
	for _, rb := range load(t).All() {
		acts := rb.Autonomy.Level == runbooks.Auto || rb.Autonomy.Level == runbooks.Approve
		if acts && !seen[rb.Runbook]["fixed"] || !seen[rb.Runbook]["told"] {
			t.Errorf("the unit tests of %s do not show both how it helps and how it calls people", rb.Runbook)
		}
	}
}

// rule is an alerting rule of deploy/alerts.
type rule struct {
	file   string
	expr   string
	labels map[string]string
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	all := map[string]rule{}
	names, err := fs.Glob(deploy.AlertRules(), "*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(deploy.AlertRules(), name)
		if err != nil {
			t.Fatal(err)
		}
		nodes, problems := document.Parse(name, text)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		for _, group := range nodes[0].Find("groups").Items {
			for _, r := range group.Find("rules").Items {
				one := rule{file: name, expr: r.Find("expr").Text, labels: map[string]string{"alertname": r.Find("alert").Text}}
				for _, e := range r.Find("labels").Entries {
					one.labels[e.Key] = e.Value.Text
				}
				all[one.labels["alertname"]] = one
			}
		}
	}
	return all
}

// The alert of a document is one that Prometheus would raise, with the labels
// that start it.
func TestEveryTriggerHasARule(t *testing.T) {
	set, known := load(t), rules(t)
	for _, rb := range set.All() {
		for _, trigger := range rb.Triggers {
			r, there := known[trigger.Alert]
			if !there {
				t.Errorf("%s is started by %s, which no rule of deploy/alerts raises", rb.Runbook, trigger.Alert)
				continue
			}
			if !slices.Contains(set.Match(&runbooks.Alert{Labels: r.labels}), rb) {
				t.Errorf("the alert %s of %s, with the labels %v, does not start %s", trigger.Alert, r.file, r.labels, rb.Runbook)
			}
		}
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

// The pages are written from the documents, their unit tests and the rules.
// UPDATE=1 writes them.
func TestPagesAreCurrent(t *testing.T) {
	set, known := load(t), rules(t)
	pages := map[string]string{"README.md": index(set)}
	for _, rb := range set.All() {
		pages[rb.Runbook+".md"] = page(rb, known, loadTests(t, set))
	}
	dir := filepath.Join("..", "..", "docs", "library")
	for name, text := range pages {
		path := filepath.Join(dir, name)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("docs/library/%s is not current; write it with UPDATE=1 go test -run TestPagesAreCurrent ./runbooks/library", name)
		}
	}
	kept, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil || len(kept) != len(pages) {
		t.Errorf("docs/library has %d pages, and there are %d documents: %v", len(kept), len(pages)-1, err)
	}
}
