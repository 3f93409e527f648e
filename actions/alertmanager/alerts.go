package alertmanager

import (
	"context"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
)

type alertsParams struct {
	Connection string    `json:"connection,omitempty" connection:"alertmanager" optional:"true" doc:"Connection to the Alertmanager; may be left out when there is only one."`
	Matchers   []matcher `json:"matchers,omitempty" optional:"true" max:"20" doc:"Matchers in Alertmanager's syntax, all of which must match; without any, all alerts." example:"['severity=~\"critical|page\"']"`
	Active     bool      `json:"active" default:"true" doc:"Include the alerts that people are notified of."`
	Silenced   bool      `json:"silenced" default:"false" doc:"Include the alerts that a silence mutes."`
	Inhibited  bool      `json:"inhibited" default:"false" doc:"Include the alerts that another alert mutes."`
	Limit      int       `json:"limit" default:"100" min:"1" max:"1000" doc:"How many alerts to give back at most; count is that of all."`
}

type alertsResult struct {
	Count  int     `json:"count" doc:"How many alerts match."`
	Alerts []alert `json:"alerts" doc:"The alerts, by fingerprint."`
}

type alert struct {
	Labels      map[string]string `json:"labels" doc:"Labels of the alert."`
	State       string            `json:"state" doc:"active, suppressed (silenced or inhibited) or unprocessed (new)."`
	StartsAt    time.Time         `json:"starts_at" doc:"When it began to fire."`
	Fingerprint string            `json:"fingerprint" doc:"Digest of the labels, as webhooks send it."`
}

func (s system) alertsAction() actions.Action {
	return actions.Define(actions.Def[alertsParams, alertsResult]{
		Name:    "alertmanager.alerts",
		Doc:     "List the alerts that fire now.",
		Risk:    actions.ReadOnly,
		Example: `{matchers: ['alertname="DBPoolExhausted"', 'env="prod"']}`,
		Target:  func(p alertsParams) string { return "alerts/" + braced(p.Matchers) },
		Run:     s.alerts,
	})
}

func (s system) alerts(ctx context.Context, _ actions.Key, _ actions.Target, p alertsParams) (alertsResult, error) {
	matchers, err := parsed(p.Matchers)
	if err != nil {
		return alertsResult{}, actions.Permanent(err)
	}
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return alertsResult{}, err
	}
	found, err := c.Alerts(ctx, alertmanagerapi.Filter{
		Matchers: queries(matchers), Active: p.Active, Silenced: p.Silenced, Inhibited: p.Inhibited,
	})
	if err != nil {
		return alertsResult{}, c.readFailure(err)
	}
	result := alertsResult{Count: len(found), Alerts: []alert{}}
	for _, a := range found[:min(len(found), p.Limit)] {
		result.Alerts = append(result.Alerts, newAlert(a))
	}
	return result, nil
}

func newAlert(a *models.GettableAlert) alert {
	return alert{
		Labels: a.Labels, State: *a.Status.State,
		StartsAt: time.Time(*a.StartsAt).UTC(), Fingerprint: *a.Fingerprint,
	}
}
