package runbooks_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
)

const look = "\nsummary: Look.\nsteps: [{id: look, do: prometheus.query, with: {query: up}}]\n"

func names(found []*runbooks.Runbook) string {
	var all []string
	for _, rb := range found {
		all = append(all, rb.Runbook)
	}
	return strings.Join(all, " ")
}

func TestMatch(t *testing.T) {
	set := load(t, strings.Join([]string{
		"runbook: c" + look + "triggers: [{alert: High}, {alert: Low}]\n",
		"runbook: b" + look + "triggers: [{alert: High, matchers: ['env=\"prod\"']}, {matchers: ['team=~\"x.*\"', 'env!=\"\"']}]\n",
		"runbook: a" + look + "triggers: [{matchers: ['env=~\"prod|test\"', 'alertname=~\"Hi.*\"']}]\n",
		"runbook: by-hand" + look,
	}, "---\n"))
	for _, c := range []struct {
		labels, route map[string]string
		want          string
	}{
		{map[string]string{"alertname": "High", "env": "prod"}, nil, "a b c"},
		{map[string]string{"alertname": "High"}, nil, "c"},
		{map[string]string{"alertname": "Low", "env": "prod"}, nil, "c"},
		{map[string]string{"alertname": "Other", "env": "dev", "team": "xy"}, nil, "b"},
		{map[string]string{"alertname": "Other"}, nil, ""},
		{nil, nil, ""},
		// The team's own route decides, whatever the labels of the alert say.
		{map[string]string{"alertname": "High", "runbook": "c"}, map[string]string{"runbook": "by-hand"}, "by-hand"},
		{map[string]string{"alertname": "High"}, map[string]string{"runbook": "nothing"}, ""},
		{map[string]string{"alertname": "Low", "runbook": "by-hand"}, nil, "c"},
	} {
		a := runbooks.Alert{Labels: c.labels, RouteLabels: c.route}
		if got := names(set.Match(&a)); got != c.want {
			t.Errorf("%v, route %v: %q, want %q", c.labels, c.route, got, c.want)
		}
	}
}

func TestASetIsSortedAndWhole(t *testing.T) {
	set := load(t, "runbook: b"+look+"---\nrunbook: a"+look)
	if got := fmt.Sprint(set.Names(), " ", names(set.All())); got != "[a b] a b" {
		t.Error(got)
	}
	if rb, ok := set.Get("b"); !ok || rb.At.String() != "test.yaml:1:1" {
		t.Errorf("b is %+v, %v", rb, ok)
	}
	if _, ok := set.Get("c"); ok {
		t.Error("there is a c")
	}
	// One mistake in one document, and none of them is taken.
	mixed, problems := runbooks.Load(diag.Sources{"a": []byte("runbook: a" + look), "b": []byte("runbook: b\n")}, runbooks.Options{Catalog: testCatalog()})
	if mixed != nil || len(problems) == 0 {
		t.Errorf("loaded %v, %v", mixed, problems)
	}
}
