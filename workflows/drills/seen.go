package drills

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// seen takes an alert from the webhook. One in scope that nobody expects is a
// real incident, which the drill gives way to.
func (d *drill) seen(s Seen) {
	a := d.alert(s.Alert.Fingerprint, s.Alert.Labels, s.Alert.StartsAt, s.Expected)
	d.keepBody(s.Body)
	if s.Alert.Resolved() {
		if a.Resolved.IsZero() {
			a.Resolved = s.At
		}
		return
	}
	if overtaken(a, s.At) {
		return
	}
	if a.Webhook.IsZero() {
		a.Webhook = s.At
	}
	if s.Decision != "" {
		a.Decision = s.Decision
	}
	if s.RunID != "" {
		a.RunID = s.RunID
	}
	d.yield(a, s.Real)
}

// overtaken reports that news of an alert that fires is older than they seem: that
// episode is over. Another peer of Alertmanager may say so after the first one.
func overtaken(a *gameday.Alert, at time.Time) bool {
	return !a.Resolved.IsZero() && at.After(a.Resolved)
}

// yield aborts the drill for a real alert.
func (d *drill) yield(a *gameday.Alert, real bool) {
	if !real {
		return
	}
	d.abort(gameday.AbortAlert, incident(*a))
}

func incident(a gameday.Alert) string {
	return fmt.Sprintf("a real alert in scope: %s (fingerprint %s)", a.Labels["alertname"], a.Fingerprint)
}

func (d *drill) keepBody(body json.RawMessage) {
	known := slices.ContainsFunc(d.Evidence.Webhooks, func(b json.RawMessage) bool { return bytes.Equal(b, body) })
	if len(body) > 0 && !known && len(d.Evidence.Webhooks) < maxWebhooks {
		d.Evidence.Webhooks = append(d.Evidence.Webhooks, body)
	}
}

// alert is the entry of an episode, made if it is the first that is heard of it.
func (d *drill) alert(fingerprint string, set map[string]string, startsAt time.Time, expected bool) *gameday.Alert {
	for i := range d.Evidence.Alerts {
		a := &d.Evidence.Alerts[i]
		if a.Fingerprint == fingerprint && a.StartsAt.Equal(startsAt) {
			return a
		}
	}
	d.Evidence.Alerts = append(d.Evidence.Alerts, gameday.Alert{
		Fingerprint: fingerprint, Labels: set, StartsAt: startsAt, Expected: expected,
	})
	return &d.Evidence.Alerts[len(d.Evidence.Alerts)-1]
}
