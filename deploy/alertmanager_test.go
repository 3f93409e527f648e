package deploy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/alertgroup"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

const example = "alertmanager/alertmanager.yml"

// configured is a current Alertmanager with the example, and with a silence on
// everything: it decides who would hear of an alert, and tells nobody.
func configured(t *testing.T) *lab.Alertmanager {
	t.Helper()
	program, err := lab.CurrentAlertmanager(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a, err := lab.StartAlertmanager(t.Context(), dir, lab.AlertmanagerOptions{Program: program})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			t.Error(err)
		}
	})
	muteAll(t, a)
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alertmanager", "alertmanager.yml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(a.URL+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if said, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", response.Status, said)
	}
	return a
}

func muteAll(t *testing.T, a *lab.Alertmanager) {
	t.Helper()
	name, value, yes, text := "alertname", ".+", true, "test"
	starts, ends := strfmt.DateTime(time.Now()), strfmt.DateTime(time.Now().Add(time.Hour))
	_, err := a.API.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(t.Context()).WithSilence(&models.PostableSilence{Silence: models.Silence{
		Matchers: models.Matchers{{Name: &name, Value: &value, IsEqual: &yes, IsRegex: &yes}},
		Comment:  &text, CreatedBy: &text, StartsAt: &starts, EndsAt: &ends,
	}}))
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheSeverityOfOurAlertsDecidesTheChannel(t *testing.T) {
	a := configured(t)
	for labels, want := range map[string][]string{
		"raised_by=runbook severity=page":     {"chat", "page"},
		"raised_by=runbook severity=critical": {"chat"},
		"raised_by=runbook severity=warning":  {"team"},
		"raised_by=runbook severity=info":     {"mail"},
		"severity=page":                       {"page", "runbook"},
		"severity=critical":                   {"runbook"},
	} {
		if got := routed(t, a, labels, len(want)); !slices.Equal(got, want) {
			t.Errorf("%s goes to %v, want %v", labels, got, want)
		}
	}
}

// routed raises an alert and gives the receivers that it has.
func routed(t *testing.T, a *lab.Alertmanager, labels string, n int) (receivers []string) {
	t.Helper()
	set := models.LabelSet{"alertname": "A", "test": labels}
	for pair := range strings.FieldsSeq(labels) {
		name, value, _ := strings.Cut(pair, "=")
		set[name] = value
	}
	posted := models.PostableAlerts{{Alert: models.Alert{Labels: set}, EndsAt: strfmt.DateTime(time.Now().Add(time.Hour))}}
	if _, err := a.API.Alert.PostAlerts(alert.NewPostAlertsParamsWithContext(t.Context()).WithAlerts(posted)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for len(receivers) < n && ctx.Err() == nil {
		answer, err := a.API.Alertgroup.GetAlertGroups(alertgroup.NewGetAlertGroupsParamsWithContext(ctx).
			WithFilter([]string{fmt.Sprintf("test=%q", labels)}))
		if err != nil {
			t.Fatal(err)
		}
		receivers = nil
		for _, g := range answer.Payload {
			receivers = append(receivers, *g.Receiver.Name)
		}
		slices.Sort(receivers)
		time.Sleep(20 * time.Millisecond)
	}
	return receivers
}

// What 0.25 does not know is the receiver for Teams, and a file for the token of
// Telegram.
func TestAmtoolAcceptsTheExampleWithoutWhatIsNew(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	text = without(t, text, "    msteamsv2_configs:", "    # WeCom.")
	text = without(t, text, "    telegram_configs:", "  - name: team")
	old := filepath.Join(t.TempDir(), "alertmanager.yml")
	if err := os.WriteFile(old, text, 0o600); err != nil {
		t.Fatal(err)
	}
	accepts(t, programs.Amtool, "check-config", old)
}

func without(t *testing.T, text []byte, from, to string) []byte {
	t.Helper()
	begin, end := bytes.Index(text, []byte(from)), bytes.Index(text, []byte(to))
	if begin < 0 || end < begin {
		t.Fatalf("the example has no %q before %q", from, to)
	}
	return slices.Concat(text[:begin], text[end:])
}
