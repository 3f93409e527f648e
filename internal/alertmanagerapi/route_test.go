package alertmanagerapi

import (
	"slices"
	"testing"
)

const routes = `
route:
  receiver: nobody
  routes:
    - {receiver: team, match: {team: payments}, continue: true}
    - {receiver: runbook, matchers: ['severity=~"critical|page"'], routes: [{receiver: quiet, matchers: ['env="test"']}]}
    - {receiver: late, match_re: {severity: ".*"}}
receivers:
  - {name: nobody}
  - {name: team, webhook_configs: [{url: <secret>}]}
  - {name: runbook, webhook_configs: [{url: <secret>}]}
  - {name: quiet, email_configs: [{to: ops@example.org}]}
  - {name: late, webhook_configs: [{url: <secret>}]}
`

func TestWebhooksThatARouteLeadsTo(t *testing.T) {
	for _, c := range []struct {
		set  map[string]string
		want []string
	}{
		{map[string]string{"severity": "critical", "env": "prod"}, []string{"runbook"}},
		{map[string]string{"severity": "critical", "env": "prod", "team": "payments"}, []string{"team", "runbook"}},
		{map[string]string{"severity": "critical", "env": "test"}, nil},
		{map[string]string{"severity": "info"}, []string{"late"}},
	} {
		got, err := webhooks(routes, c.set)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v leads to %v, %v; want %v", c.set, got, err, c.want)
		}
	}
}
