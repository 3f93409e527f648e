package webhook

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/runbooks"
)

// rest asks Alertmanager for the alerts of a group, because the message left
// some of them out. Those that are over are not among them: Alertmanager does
// not list them.
func rest(ctx context.Context, from alertmanagerapi.Peers, m *Message) ([]runbooks.Alert, error) {
	groups, err := from.Firing(ctx, regexp.QuoteMeta(m.Receiver), groupMatchers(m.GroupLabels))
	if err != nil {
		return nil, fmt.Errorf("fetch the %d alerts that the message left out: %w", m.TruncatedAlerts, err)
	}
	var alerts []runbooks.Alert
	for _, g := range groups {
		if !maps.Equal(map[string]string(g.Labels), map[string]string(m.GroupLabels)) {
			continue
		}
		for _, a := range g.Alerts {
			alerts = append(alerts, m.listed(a, g.RouteLabels))
		}
	}
	return alerts, nil
}

func (m *Message) listed(a *models.GettableAlert, routeLabels models.LabelSet) runbooks.Alert {
	if len(routeLabels) == 0 {
		routeLabels = models.LabelSet(m.RouteLabels)
	}
	alert := Listed(a, m.Receiver, routeLabels)
	alert.ExternalURL = m.ExternalURL
	return alert
}

func groupMatchers(group map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(group)) {
		m := labels.Matcher{Type: labels.MatchEqual, Name: name, Value: group[name]}
		all = append(all, m.String())
	}
	return all
}

// merge adds those that the message does not have. What the message says of an
// alert is what Alertmanager decided to tell; the list may be a moment ahead.
func merge(alerts, more []runbooks.Alert) []runbooks.Alert {
	seen := map[string]bool{}
	for i := range alerts {
		seen[alerts[i].Episode()] = true
	}
	for _, a := range more {
		if !seen[a.Episode()] {
			alerts = append(alerts, a)
		}
	}
	return alerts
}
