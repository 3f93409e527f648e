package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
)

// write puts a file into a folder of the test.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pause is a runbook that only passes time.
const pause = `
runbook: %s
summary: Pass some time.
triggers: [{alert: %s}]
autonomy: auto
steps: [{id: pause, do: wait, with: {duration: 0s}}]
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s"), every: 1s, within: 1s}
`

// serve starts an engine on a config, whose relative paths are below dir, and
// keeps it running until the test ends.
func serve(t *testing.T, dir, config string) *Engine {
	t.Helper()
	c, _, problems := LoadConfig(write(t, dir, "runbook.yaml", "listen: 127.0.0.1:0\n"+config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	e, err := New(t.Context(), c, Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		e.Close()
	})
	return e
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	return do(t, http.MethodGet, url, "")
}

func do(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return send(t, http.DefaultClient, request)
}

func send(t *testing.T, c *http.Client, request *http.Request) (int, string) {
	t.Helper()
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const fingerprint = "0123456789abcdef"

func firing(alertname string, startsAt time.Time) string {
	return fmt.Sprintf(`{"version":"4","status":"firing","receiver":"runbook","alerts":[{"status":"firing","labels":{"alertname":%q},
		"startsAt":%q,"endsAt":"0001-01-01T00:00:00Z","fingerprint":%q}]}`, alertname, startsAt.Format(time.RFC3339Nano), fingerprint)
}

func TestAnAlertBecomesARun(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books/pause.yaml", fmt.Sprintf(pause, "pause", "Slow"))
	e := serve(t, dir, "runbooks: [books]\n")
	if status, text := get(t, e.URL()+"/-/ready"); status != http.StatusOK {
		t.Fatalf("not ready: %d %s", status, text)
	}
	startsAt := time.Now().UTC().Truncate(time.Millisecond)
	if status, text := do(t, http.MethodPost, e.URL()+WebhookPath, firing("Slow", startsAt)); status != http.StatusOK {
		t.Fatalf("the webhook answered %d %s", status, text)
	}
	ended := await(t, e, fmt.Sprintf("pause.%s-%s", fingerprint, base36(startsAt)))
	if ended.Outcome != run.Fixed {
		t.Errorf("outcome %s: %s", ended.Outcome, ended.OutcomeReason)
	}
	_, text := get(t, e.URL()+"/metrics")
	for _, line := range []string{
		`runbook_webhook_alerts_total{decision="received"} 1`,
		`runbook_webhook_alerts_total{decision="matched"} 1`,
		`runbook_webhook_alerts_total{decision="started"} 1`,
		`runbook_webhook_requests_total{code="200"} 1`,
		`runbook_runs_concluded_total{outcome="fixed",runbook="pause"} 1`,
		`runbook_actions_total{action="wait",result="done"} 1`,
		`runbook_alert_to_first_action_seconds_count 1`,
		`runbook_runs_under_way 0`,
		`runbook_config_last_reload_successful 1`,
		`runbook_documents 1`,
		`runbook_temporal_up 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("metrics lack %s", line)
		}
	}
	if !strings.Contains(text, `temporal_local_activity_total{activity_type="decide"`) {
		t.Error("the metrics of the Temporal SDK are missing")
	}
}

func base36(at time.Time) string { return strconv.FormatInt(at.UnixNano(), 36) }

func await(t *testing.T, e *Engine, id string) run.Run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last run.Run
	if err := e.runs.Watch(ctx, id, func(r run.Run) error { last = r; return nil }); err != nil {
		t.Fatalf("run %s: %v", id, err)
	}
	return last
}
