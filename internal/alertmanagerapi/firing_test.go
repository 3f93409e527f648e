package alertmanagerapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/lab"
)

// truncated is a webhook that keeps the first message that says it leaves some
// alerts out.
type truncated struct {
	once    sync.Once
	message chan message
}

type message struct {
	Receiver        string
	TruncatedAlerts int
	GroupLabels     map[string]string
	Alerts          []struct{ Labels map[string]string }
}

func (w *truncated) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var m message
	if json.NewDecoder(r.Body).Decode(&m) == nil && m.TruncatedAlerts > 0 {
		w.once.Do(func() { w.message <- m })
	}
}

func start(t *testing.T, program string, webhook http.Handler) *Client {
	t.Helper()
	if webhook == nil {
		webhook = http.NotFoundHandler()
	}
	receiver := httptest.NewServer(webhook)
	server, err := lab.StartAlertmanager(t.Context(), t.TempDir(), lab.AlertmanagerOptions{
		Program: program, GroupBy: []string{"team"}, GroupWait: 200 * time.Millisecond,
		Webhook: lab.Webhook{URL: receiver.URL, MaxAlerts: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := Open(Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
		receiver.Close()
	})
	return client
}

func TestFiringHasWhatAWebhookLeftOut(t *testing.T) {
	current, err := lab.CurrentAlertmanager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, program := range map[string]string{"installed": "", "current": current} {
		t.Run(name, func(t *testing.T) {
			webhook := &truncated{message: make(chan message, 1)}
			client := start(t, program, webhook)
			for i, team := range []string{"a", "a", "a", "b"} {
				raise(t, client, map[string]string{"alertname": "Down", "team": team, "i": fmt.Sprint(i)}, time.Hour)
			}
			raise(t, client, map[string]string{"alertname": "Down", "team": "a", "i": "over"}, 0)
			mute(t, client, "i", "2")
			var told message
			select {
			case told = <-webhook.message:
			case <-time.After(20 * time.Second):
				t.Fatal("no truncated message within 20s")
			}
			group := []string{fmt.Sprintf("team=%q", told.GroupLabels["team"])}
			awaitFiring(t, client, told.Receiver, group, "a: a0 a1")
			awaitFiring(t, client, "", nil, "a: a0 a1", "b: b3")
			awaitFiring(t, client, told.Receiver[:1]+".*", group, "a: a0 a1")
			if got := firing(t, client, told.Receiver[:1], nil); len(got) != 0 {
				t.Errorf("the pattern is for the whole name, and it gets %q", got)
			}
		})
	}
}

func raise(t *testing.T, client *Client, labels models.LabelSet, lasts time.Duration) {
	t.Helper()
	now := time.Now()
	err := client.PostAlert(t.Context(), &models.PostableAlert{
		Alert: models.Alert{Labels: labels}, StartsAt: strfmt.DateTime(now.Add(-time.Second)), EndsAt: strfmt.DateTime(now.Add(lasts)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// mute silences the alerts with a label, and waits until they are.
func mute(t *testing.T, client *Client, name, value string) {
	t.Helper()
	yes, no, text := true, false, "test"
	starts, ends := strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(time.Hour))
	_, err := client.PostSilence(t.Context(), models.Silence{
		Matchers: models.Matchers{{Name: &name, Value: &value, IsEqual: &yes, IsRegex: &no}},
		Comment:  &text, CreatedBy: &text, StartsAt: &starts, EndsAt: &ends,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		left, err := client.Alerts(ctx, Filter{Matchers: []string{fmt.Sprintf("%s=%q", name, value)}, Active: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitFiring waits for the dispatcher of Alertmanager, which works on its own.
func awaitFiring(t *testing.T, client *Client, receiver string, matchers []string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got := firing(t, client, receiver, matchers)
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q %v fire %q, want %q", receiver, matchers, got, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// firing shows each group as "team: alert alert".
func firing(t *testing.T, client *Client, receiver string, matchers []string) []string {
	t.Helper()
	groups, err := client.Firing(t.Context(), receiver, matchers)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, g := range groups {
		var alerts []string
		for _, a := range g.Alerts {
			alerts = append(alerts, a.Labels["team"]+a.Labels["i"]+a.Labels["serial"])
		}
		slices.Sort(alerts)
		all = append(all, g.Labels["team"]+": "+strings.Join(alerts, " "))
	}
	slices.Sort(all)
	return all
}
