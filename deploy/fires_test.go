package deploy_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/runbook-engine/runbook/deploy"
)

// ruleFile is what counts here of a file of rules, and of one of their tests.
type ruleFile struct {
	Groups []struct {
		Rules []struct{ Alert string }
	}
	Tests []struct {
		AlertRuleTest []struct {
			Alertname string
			ExpAlerts []any `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
	}
}

func parse(t *testing.T, text []byte, err error) (f ruleFile) {
	t.Helper()
	if err == nil {
		err = yaml.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A rule that nobody has seen firing may never fire.
func TestEveryRuleIsSeenFiring(t *testing.T) {
	seen := map[string]bool{}
	tests, err := filepath.Glob("testdata/*_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tests {
		text, err := os.ReadFile(path)
		for _, test := range parse(t, text, err).Tests {
			for _, expected := range test.AlertRuleTest {
				seen[expected.Alertname] = seen[expected.Alertname] || len(expected.ExpAlerts) > 0
			}
		}
	}
	for _, name := range rules(t) {
		if !seen[name] {
			t.Errorf("no test of testdata sees %s firing", name)
		}
	}
}

// rules are the names of all that is shipped.
func rules(t *testing.T) (names []string) {
	t.Helper()
	files, err := fs.Glob(deploy.AlertRules(), "*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("rule files %v, %v", files, err)
	}
	for _, file := range files {
		text, err := fs.ReadFile(deploy.AlertRules(), file)
		for _, group := range parse(t, text, err).Groups {
			for _, rule := range group.Rules {
				names = append(names, rule.Alert)
			}
		}
	}
	return names
}
