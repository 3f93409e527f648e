package lab_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/general"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/lab"
)

// call is what a webhook got.
type call struct {
	username, password, token string
	message                   map[string]any
}

// recorder is a webhook over TLS that takes everything.
func recorder(t *testing.T) (webhook lab.Webhook, calls chan call) {
	t.Helper()
	calls = make(chan call, 1000)
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got := call{token: r.Header.Get("Authorization")}
		got.username, got.password, _ = r.BasicAuth()
		if err := json.NewDecoder(r.Body).Decode(&got.message); err != nil {
			t.Error(err)
		}
		calls <- got
	}))
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return lab.Webhook{URL: server.URL, CAFile: ca}, calls
}

func startAlertmanager(t *testing.T, options lab.AlertmanagerOptions) *lab.Alertmanager {
	t.Helper()
	alertmanager, err := lab.StartAlertmanager(t.Context(), t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := alertmanager.Stop(); err != nil {
			t.Error(err)
		}
	})
	return alertmanager
}

// raise posts an alert that ends after some time; in the past it is resolved.
func raise(t *testing.T, to *lab.Alertmanager, name string, lasts time.Duration) {
	t.Helper()
	posted := models.PostableAlerts{{
		StartsAt: strfmt.DateTime(time.Now().Add(-time.Minute)), EndsAt: strfmt.DateTime(time.Now().Add(lasts)),
		Alert: models.Alert{Labels: models.LabelSet{"alertname": name}},
	}}
	if _, err := to.API.Alert.PostAlerts(alert.NewPostAlertsParamsWithContext(t.Context()).WithAlerts(posted)); err != nil {
		t.Fatal(err)
	}
}

func receive(ctx context.Context, t *testing.T, calls <-chan call) call {
	t.Helper()
	select {
	case got := <-calls:
		return got
	case <-ctx.Done():
		t.Fatal("nothing arrived")
		return call{}
	}
}

func TestWebhookWithBasicAuthAndTLS(t *testing.T) {
	webhook, calls := recorder(t)
	webhook.Username, webhook.Password = "alertmanager", "s3cret"
	alertmanager := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: webhook})
	raise(t, alertmanager, "A", time.Hour)
	got := receive(within(t, time.Minute), t, calls)
	if got.username != "alertmanager" || got.password != "s3cret" {
		t.Errorf("logged in as %q with %q", got.username, got.password)
	}
}

func TestMaxAlertsTruncates(t *testing.T) {
	webhook, calls := recorder(t)
	webhook.MaxAlerts = 1
	alertmanager := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: webhook})
	raise(t, alertmanager, "A", time.Hour)
	raise(t, alertmanager, "B", time.Hour)
	ctx := within(t, time.Minute)
	for {
		got := receive(ctx, t, calls)
		if truncated, _ := got.message["truncatedAlerts"].(float64); truncated == 1 {
			return
		}
	}
}

func TestWithoutResolvedOnlyFiringArrives(t *testing.T) {
	webhook, calls := recorder(t)
	webhook.WithoutResolved = true
	alertmanager := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: webhook})
	ctx := within(t, time.Minute)
	raise(t, alertmanager, "A", time.Hour)
	receive(ctx, t, calls)
	raise(t, alertmanager, "A", -time.Second)
	raise(t, alertmanager, "B", time.Hour)
	for {
		text, err := json.Marshal(receive(ctx, t, calls).message["alerts"])
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "resolved") {
			t.Fatalf("got a resolved alert: %s", text)
		}
		if strings.Contains(string(text), `"alertname":"B"`) {
			return
		}
	}
}

func TestAlertmanagerComesBackWithItsAddress(t *testing.T) {
	alertmanager := startAlertmanager(t, lab.AlertmanagerOptions{})
	if err := alertmanager.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := alertmanager.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	raise(t, alertmanager, "A", time.Hour)
}

func TestCurrentAlertmanagerSendsWhatTheOldOneDoesNot(t *testing.T) {
	program, err := lab.CurrentAlertmanager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	webhook, calls := recorder(t)
	alertmanager := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: webhook, Program: program})
	status, err := alertmanager.API.General.GetStatus(general.NewGetStatusParamsWithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("version %s", *status.Payload.VersionInfo.Version)
	raise(t, alertmanager, "A", time.Hour)
	if reason := receive(within(t, time.Minute), t, calls).message["notification_reason"]; reason == nil {
		t.Error("no notification_reason, which Alertmanager sends since 0.32")
	}
}
