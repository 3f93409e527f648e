// Package webhook receives the notifications of Alertmanager 0.25 to 0.34. It
// decides for each alert by itself, and acknowledges a message only when every
// run that it leads to is durable.
package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/runbooks"
)

// Message is what Alertmanager sends, payload version 4. Fields that a version
// does not have are empty; fields that are not known here are left out.
type Message struct {
	template.Data
	Version  string `json:"version"`
	GroupKey string `json:"groupKey"`
	// TruncatedAlerts counts those that max_alerts of the receiver cut off. The
	// status of the message is wrong then: it is that of the alerts that are left.
	TruncatedAlerts uint64 `json:"truncatedAlerts"`

	body []byte
	at   time.Time // when it came
}

const payloadVersion = "4"

// Decode reads a message and the alerts in it. It refuses as a whole what no
// Alertmanager sends: to act on a part of it would be to guess.
func Decode(body []byte) (Message, []runbooks.Alert, error) {
	var m Message
	if err := decodeObject(body, &m); err != nil {
		return m, nil, fmt.Errorf("the body is not a message of Alertmanager: %w", err)
	}
	if m.Version != "" && m.Version != payloadVersion {
		return m, nil, fmt.Errorf("the message has payload version %.20q; only version %s is known", m.Version, payloadVersion)
	}
	if m.Alerts == nil {
		return m, nil, errors.New("the message has no list of alerts; is a custom payload configured in Alertmanager?")
	}
	alerts := make([]runbooks.Alert, len(m.Alerts))
	for i, a := range m.Alerts {
		if err := check(a); err != nil {
			return m, nil, fmt.Errorf("alert %d: %w", i, err)
		}
		alerts[i] = m.alert(a)
	}
	return m, alerts, nil
}

func decodeObject(body []byte, into *Message) error {
	if first := bytes.TrimLeft(body, " \t\r\n"); len(first) == 0 || first[0] != '{' {
		return errors.New("it is no JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

func check(a template.Alert) error {
	switch {
	case a.Status != string(model.AlertFiring) && a.Status != string(model.AlertResolved):
		return fmt.Errorf("its status is %.20q, neither firing nor resolved", a.Status)
	case len(a.Labels) == 0:
		return errors.New("it has no labels")
	// Outside these years the time has no number of nanoseconds.
	case a.StartsAt.Year() < 1970 || a.StartsAt.Year() > 2261:
		return errors.New("it has no startsAt")
	}
	return nil
}

var fingerprintForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

func (m *Message) alert(a template.Alert) runbooks.Alert {
	out := runbooks.Alert{
		Status: a.Status, Labels: a.Labels, Annotations: a.Annotations,
		StartsAt: started(a.StartsAt), Fingerprint: a.Fingerprint, GeneratorURL: a.GeneratorURL,
		Receiver: m.Receiver, ExternalURL: m.ExternalURL, RouteLabels: m.RouteLabels,
	}
	if out.Resolved() {
		out.EndsAt = a.EndsAt.UTC()
	}
	// It becomes a part of the run's id; what has another form was not made by
	// Alertmanager.
	if !fingerprintForm.MatchString(out.Fingerprint) {
		out.Fingerprint = fingerprint(out.Labels)
	}
	return out
}

// started is a startsAt as far as Alertmanager always tells it: a notification has
// its nanoseconds, and a list of the same alerts does not.
func started(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }

// fingerprint is that of Alertmanager.
func fingerprint(labels map[string]string) string {
	set := make(model.LabelSet, len(labels))
	for name, value := range labels {
		set[model.LabelName(name)] = model.LabelValue(value)
	}
	return set.Fingerprint().String()
}

// Listed is an alert that the API of Alertmanager listed as firing, in a group
// for a receiver.
func Listed(a *models.GettableAlert, receiver string, routeLabels map[string]string) runbooks.Alert {
	return runbooks.Alert{
		Status: string(model.AlertFiring), Labels: a.Labels, Annotations: a.Annotations,
		StartsAt: started(time.Time(*a.StartsAt)), Fingerprint: *a.Fingerprint, GeneratorURL: string(a.GeneratorURL),
		Receiver: receiver, RouteLabels: routeLabels,
	}
}
