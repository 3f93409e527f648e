package alertmanager

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/internal/lab"
)

// conforms fills in what the cases of the package have in common.
func conforms(t *testing.T, c conformance.Case) {
	const token = "canary-token-8154"
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	c.System = System
	c.Connections = func(address string) string {
		return fmt.Sprintf("oncall: {alertmanager: {url: 'http://%s', bearer_token_file: '%s'}}", address, file)
	}
	c.Secrets = []string{token}
	conformance.Run(t, c)
}

func TestRaiseConforms(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		conforms(t, conformance.Case{
			Action: "alertmanager.raise", Address: server.Address(),
			Params: `{alertname: Conforming, labels: {severity: page}, annotations: {summary: 'a "quoted" text'}, for: 5m}`,
			Arrange: func(t *testing.T) {
				for _, a := range firingNow(t, server.URL, "Conforming") {
					post(t, server.URL, "alerts", fmt.Sprintf(`[{"labels": {"alertname": "Conforming", "severity": "page"}, "startsAt": %q, "endsAt": %q}]`,
						a.StartsAt.Format("2006-01-02T15:04:05.000Z"), a.StartsAt.Add(1e6).Format("2006-01-02T15:04:05.000Z")))
				}
			},
			State: func(t *testing.T) string { return fmt.Sprint(firingNow(t, server.URL, "Conforming")) },
		})
	})
}

func TestSilenceConforms(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		conforms(t, conformance.Case{
			Action: "alertmanager.silence", Address: server.Address(),
			Params: `{matchers: ['alertname="Conforming"', 'database=~"orders|stock"'], duration: 5m, comment: because}`,
			State: func(t *testing.T) string {
				all := silencesOn(t, server.URL, "Conforming")
				return fmt.Sprint(all["active"], all["pending"])
			},
		})
	})
}

func TestAlertsConforms(t *testing.T) {
	onEach(t, func(t *testing.T, server *lab.Alertmanager) {
		conforms(t, conformance.Case{
			Action: "alertmanager.alerts", Address: server.Address(),
			Params:  `{matchers: ['alertname="Listed"']}`,
			Arrange: func(t *testing.T) { post(t, server.URL, "alerts", `[{"labels": {"alertname": "Listed"}}]`) },
		})
	})
}

func TestMatchersAreCheckedWhenADocumentLoads(t *testing.T) {
	for text, want := range map[string]string{
		`{matchers: ['alertname='], duration: 5m, comment: c}`:                "expected label value",
		`{matchers: ["alertname=~\"(\""], duration: 5m, comment: c}`:          "missing closing )",
		`{matchers: [alertname], duration: 5m, comment: c}`:                   "expected an operator",
		`{matchers: ['a="b"', 'a="b",c="d"'], duration: 5m, comment: c}`:      "expected 1 matcher, found 2",
		`{matchers: [], duration: 5m, comment: c}`:                            "matchers must be at least 1",
		`{matchers: ['alertname="A"'], duration: 25h, comment: c}`:            "duration must be at most",
		`{matchers: ['alertname="A"'], duration: 5m, comment: ''}`:            "comment must be at least 1",
		`{matchers: ['alertname="A"'], duration: 5m, comment: c, by: me}`:     "unknown key",
		`{matchers: ['alertname="A"', 'x!~"y.*"'], duration: 5m, comment: c}`: "",
	} {
		_, problems := newSystem(nil, nil).Actions[2].Bind([]byte(text))
		if err := problems.Err(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", text, err, want)
		}
	}
}

func TestRaiseRefusesASecondAlertname(t *testing.T) {
	_, err := bind(t, opened(t, "http://127.0.0.1:1", nil)["alertmanager.raise"], "{alertname: A, labels: {alertname: B}}").
		Run(t.Context(), "key", actions.Target{})
	if err == nil || actions.ClassOf(err) != actions.ClassPermanent {
		t.Errorf("gives %v", err)
	}
}
