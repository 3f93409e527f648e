package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/wait"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// One server keeps the runs of all tests. No worker carries them out: what is
// tested here is that they are there.
var server *temporalserver.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Main(m, temporaltest.Keep(&server))) }

func startTemporal(dir string) (*temporalserver.Server, error) {
	return temporalserver.Start(context.Background(), temporalserver.Options{Dir: dir, SearchAttributes: workflows.SearchAttributes()})
}

const books = `
runbook: acts
summary: Act.
triggers: [{alert: Acts}, {alert: Both}]
params: {host: {type: string, from: alert.labels.host, default: none}}
autonomy: auto
steps: [{id: pause, do: wait, with: {duration: 1s}}]
verify: {do: wait, with: {duration: 1s}, until: duration >= duration("0s")}
---
runbook: flaps
summary: Act once while it flaps.
triggers: [{alert: Flaps}]
autonomy: auto
healthy_delay: 5m
steps: [{id: pause, do: wait, with: {duration: 1s}}]
verify: {do: wait, with: {duration: 1s}, until: duration >= duration("0s")}
---
runbook: also
summary: Act too.
triggers: [{alert: Both}]
autonomy: auto
steps: [{id: pause, do: wait, with: {duration: 1s}}]
verify: {do: wait, with: {duration: 1s}, until: duration >= duration("0s")}
---
runbook: idle
summary: Do nothing.
triggers: [{alert: Idle}]
autonomy: "off"
steps: [{id: pause, do: wait, with: {duration: 1s}}]
`

// desk is a receiver with what is around it.
type desk struct {
	t       *testing.T
	url     string
	options webhook.Options
	audit   string
	as      string // whose credentials come with the messages
	log     *bytes.Buffer
}

func newDesk(t *testing.T, change func(*webhook.Options)) *desk {
	t.Helper()
	d := &desk{t: t, audit: filepath.Join(t.TempDir(), "audit.jsonl"), log: &bytes.Buffer{}}
	record, err := audit.Open(d.audit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { record.Close() })
	d.options = webhook.Options{
		Set: load(t), Runs: runsOf(t, server), Ready: func() error { return nil }, Metrics: metrics.New("test"), Audit: record,
		Log: slog.New(slog.NewTextHandler(d.log, nil)), MaxBody: 1 << 20, Wait: 10 * time.Second,
	}
	if change != nil {
		change(&d.options)
	}
	mux := http.NewServeMux()
	receiver := webhook.New(d.options)
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		receiver.ServeHTTP(w, r.WithContext(identity.NewContext(r.Context(), identity.Identity{Name: d.as})))
	})
	mux.Handle("GET /metrics", d.options.Metrics.Handler())
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	d.url = s.URL
	return d
}

func load(t *testing.T) func() *runbooks.Set {
	t.Helper()
	set, problems := runbooks.Load(diag.Sources{"books.yaml": []byte(books)}, runbooks.Options{Catalog: actions.NewCatalog(wait.System(nil))})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return func() *runbooks.Set { return set }
}

func runsOf(t *testing.T, s *temporalserver.Server) *runs.Service {
	t.Helper()
	return runs.New(dial(t, s), runs.NewHub(), "nobody")
}

func dial(t *testing.T, s *temporalserver.Server) client.Client {
	t.Helper()
	c := temporaltest.Dial(t, s)
	return c
}

func (d *desk) post(body io.Reader) (int, string) {
	d.t.Helper()
	response, err := http.Post(d.url, "application/json", body)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// tell posts alerts and expects a status.
func (d *desk) tell(status int, alerts ...map[string]any) string {
	d.t.Helper()
	got, text := d.post(message(d.t, alerts...))
	if got != status {
		d.t.Fatalf("answered %d %s", got, text)
	}
	return text
}

func message(t *testing.T, alerts ...map[string]any) io.Reader {
	t.Helper()
	body, err := json.Marshal(map[string]any{"version": "4", "receiver": "runbook", "alerts": alerts})
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(body)
}

var serial atomic.Int64

// alert is one that no other test has.
func alert(name string, labels ...string) map[string]any {
	set := map[string]string{"alertname": name, "serial": fmt.Sprint(serial.Add(1))}
	for i := 0; i < len(labels); i += 2 {
		set[labels[i]] = labels[i+1]
	}
	return map[string]any{"status": "firing", "labels": set, "startsAt": time.Now(), "endsAt": "0001-01-01T00:00:00Z"}
}

func with(a map[string]any, changes ...any) map[string]any {
	changed := map[string]any{}
	for key, value := range a {
		changed[key] = value
	}
	for i := 0; i < len(changes); i += 2 {
		changed[changes[i].(string)] = changes[i+1]
	}
	return changed
}

func over(a map[string]any) map[string]any {
	return with(a, "status", "resolved", "endsAt", time.Now().Add(time.Second))
}

// decided compares the counters of the decisions that are not zero.
func (d *desk) decided(want map[string]int) {
	d.t.Helper()
	response, err := http.Get(d.url + "/metrics")
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	got := map[string]int{}
	for line := range strings.Lines(string(text)) {
		var decision string
		var n int
		if rest, ok := strings.CutPrefix(line, `runbook_webhook_alerts_total{decision="`); ok {
			fmt.Sscanf(strings.Replace(rest, `"}`, "", 1), "%s %d", &decision, &n)
			if n > 0 {
				got[decision] = n
			}
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("decided %v, want %v", got, want)
	}
}

func (d *desk) inAudit(want string) {
	d.t.Helper()
	text, err := os.ReadFile(d.audit)
	if err != nil || !strings.Contains(string(text), want) {
		d.t.Errorf("the audit file has %s, not %s (%v)", text, want, err)
	}
}

func (d *desk) recorded(want ...string) {
	d.t.Helper()
	text, err := os.ReadFile(d.audit)
	if err != nil {
		d.t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		var entry audit.Entry
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			d.t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s %s", entry.Decision, entry.Alert, entry.Runbook))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		d.t.Errorf("the audit file has %q, want %q", got, want)
	}
}

func TestDecidesPerAlert(t *testing.T) {
	d := newDesk(t, nil)
	acts, both := alert("Acts"), alert("Both")
	d.tell(http.StatusOK, acts, both, alert("Nobody"), alert("Idle"), alert("Acts", "raised_by", "runbook"))
	d.decided(map[string]int{"received": 5, "matched": 4, "started": 3, "unmatched": 1, "off": 1, "own": 1})
	d.tell(http.StatusOK, acts, both)
	d.tell(http.StatusOK, over(acts), both)
	d.tell(http.StatusOK, acts)
	d.decided(map[string]int{
		"received": 10, "matched": 9, "started": 3, "duplicate": 5, "unmatched": 1, "off": 1, "own": 1, "resolved": 1, "stale": 1,
	})
	d.recorded("off Idle idle", "stale Acts ")
}

// The status of the message is wrong when max_alerts cut it; it is not looked at.
func TestTheStatusOfTheMessageDoesNotMatter(t *testing.T) {
	d := newDesk(t, nil)
	body, err := json.Marshal(map[string]any{"version": "4", "status": "resolved", "alerts": []any{alert("Acts")}})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := d.post(bytes.NewReader(body)); status != http.StatusOK {
		t.Fatalf("answered %d %s", status, text)
	}
	d.decided(map[string]int{"received": 1, "matched": 1, "started": 1})
}

func TestAnAlertThatEndsBeforeItIsHeardOfLeavesATombstone(t *testing.T) {
	d := newDesk(t, nil)
	acts := alert("Acts")
	d.tell(http.StatusOK, over(acts))
	// Another engine, or this one after a restart, does not remember the end.
	another := newDesk(t, nil)
	another.tell(http.StatusOK, acts)
	another.decided(map[string]int{"received": 1, "matched": 1, "duplicate": 1})
}

func TestHostileParametersAreRefusedAndRecorded(t *testing.T) {
	d := newDesk(t, nil)
	d.tell(http.StatusOK, alert("Acts", "host", "$(reboot)"), alert("Acts", "host", strings.Repeat("x", 500_000)), alert("Acts", "host", "a\x00b"))
	d.decided(map[string]int{"received": 3, "matched": 3, "started": 3, "refused": 3})
	d.recorded("refused Acts acts", "refused Acts acts", "refused Acts acts")
}

func TestTheSameAlertTwiceInOneMessage(t *testing.T) {
	d := newDesk(t, nil)
	acts := alert("Acts")
	d.tell(http.StatusOK, acts, acts, acts)
	d.decided(map[string]int{"received": 3, "matched": 3, "started": 1, "duplicate": 2})
}

func TestNoAlerts(t *testing.T) {
	d := newDesk(t, nil)
	if status, text := d.post(strings.NewReader(`{"version":"4","alerts":[]}`)); status != http.StatusOK {
		t.Errorf("answered %d %s", status, text)
	}
}

func TestWhatCanNotBeDecodedIsNotSentAgain(t *testing.T) {
	d := newDesk(t, nil)
	if status, text := d.post(strings.NewReader(`{"alerts"`)); status != http.StatusBadRequest {
		t.Errorf("answered %d %s", status, text)
	}
}

func TestLargeBodies(t *testing.T) {
	d := newDesk(t, nil)
	large := strings.Repeat(" ", 50<<20)
	for name, body := range map[string]io.Reader{
		"with its length":    strings.NewReader(large),
		"without its length": struct{ io.Reader }{strings.NewReader(large)},
	} {
		status, text := d.post(body)
		if status != http.StatusRequestEntityTooLarge || !strings.Contains(text, "webhook.max_body") {
			t.Errorf("%s: answered %d %s", name, status, text)
		}
	}
	// Their memory is given back: each of these is counted as the largest.
	for range 10 {
		if status, text := d.post(struct{ io.Reader }{message(t, alert("Acts"))}); status != http.StatusOK {
			t.Errorf("answered %d %s", status, text)
		}
	}
}

func TestSheds(t *testing.T) {
	d := newDesk(t, func(o *webhook.Options) { o.Ready = func() error { return fmt.Errorf("temporal does not answer") } })
	if text := d.tell(http.StatusServiceUnavailable, alert("Acts")); !strings.Contains(text, "temporal does not answer") {
		t.Errorf("said %s", text)
	}
}

// Alertmanager sends the message again after 503, and what was not durable then
// is started.
func TestTemporalIsLost(t *testing.T) {
	dir := t.TempDir()
	lost, err := startTemporal(dir)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t, func(o *webhook.Options) { o.Runs, o.Wait = runsOf(t, lost), time.Second })
	lost.Stop()
	began := time.Now()
	d.tell(http.StatusServiceUnavailable, alert("Acts"), alert("Acts"))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("answered after %s", took)
	}
	d.decided(map[string]int{"received": 2, "matched": 2, "failed": 2})
}

func TestAlertsThatAreLeftOutAreMissed(t *testing.T) {
	body := `{"version":"4","status":"resolved","receiver":"runbook","truncatedAlerts":3,"alerts":[]}`
	loud := newDesk(t, nil)
	if status, text := loud.post(strings.NewReader(body)); status != http.StatusOK {
		t.Errorf("without a connection: answered %d %s", status, text)
	}
	loud.decided(map[string]int{"truncated": 3})
	if !strings.Contains(loud.log.String(), "level=ERROR") {
		t.Errorf("logged %s", loud.log)
	}

	nobody := httptest.NewServer(nil)
	nobody.Close()
	asked, err := alertmanagerapi.Open(alertmanagerapi.Config{URL: nobody.URL})
	if err != nil {
		t.Fatal(err)
	}
	again := newDesk(t, func(o *webhook.Options) { o.Alertmanagers = alertmanagerapi.Peers{{Client: asked, Name: "nobody"}} })
	if status, text := again.post(strings.NewReader(body)); status != http.StatusServiceUnavailable {
		t.Errorf("Alertmanager does not answer: answered %d %s", status, text)
	}
}

func TestManyAlertsInOneMessage(t *testing.T) {
	d := newDesk(t, func(o *webhook.Options) { o.Wait = time.Minute })
	var all []map[string]any
	for range 1000 {
		all = append(all, alert("Acts"))
	}
	began := time.Now()
	d.tell(http.StatusOK, all...)
	t.Logf("1000 alerts were durable after %s", time.Since(began))
	d.decided(map[string]int{"received": 1000, "matched": 1000, "started": 1000})
}
