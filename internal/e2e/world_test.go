package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
)

// host is an engine in a process of its own, which can be killed and started
// again on the same state.
type host struct {
	t       testing.TB
	dir     string
	address string
	process *child
}

// newHost writes the config and the runbooks. The engine is not started yet.
func newHost(t testing.TB, config, books string) *host {
	t.Helper()
	address, err := lab.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	h := &host{t: t, dir: t.TempDir(), address: address}
	h.write("books/books.yaml", books)
	h.write("runbook.yaml", "listen: "+address+"\nrunbooks: [books]\ndata_dir: data\nguards: {storm: {runs: 0}}\n"+config)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(h.log())
			t.Logf("the log of the engine ends:\n%s", log[max(0, len(log)-6000):])
		}
	})
	return h
}

func (h *host) log() string { return filepath.Join(h.dir, "engine.log") }

func (h *host) write(name, text string) string {
	h.t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

func (h *host) url(path string) string { return "http://" + h.address + path }

func (h *host) webhook() string { return h.url("/webhook/alertmanager") }

// start starts the engine and waits until it is ready.
func (h *host) start() *host {
	h.t.Helper()
	h.process = spawn(h.t, h.log(), beEngine, filepath.Join(h.dir, "runbook.yaml"))
	eventually(h.t, time.Minute, "the engine to be ready", func() error {
		select {
		case <-h.process.end:
			h.t.Fatal("the engine ended")
		default:
		}
		return h.ready()
	})
	return h
}

func (h *host) ready() error {
	status, text, err := fetch(h.t.Context(), h.url("/-/ready"))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d %s", status, text)
	}
	return err
}

func fetch(ctx context.Context, url string) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

func (h *host) get(path string, into any) error {
	status, text, err := fetch(h.t.Context(), h.url(path))
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s: %d %s", path, status, text)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), into)
}

// ended waits until there are n runs and all of them have ended.
func (h *host) ended(within time.Duration, n int) []runs.Row {
	h.t.Helper()
	var rows []runs.Row
	eventually(h.t, within, fmt.Sprintf("%d runs to end", n), func() error {
		if err := h.get("/api/v1/runs?limit=1000", &rows); err != nil {
			return err
		}
		over := 0
		for _, row := range rows {
			if row.Status == run.Ended {
				over++
			}
		}
		if over != n || len(rows) != n {
			return fmt.Errorf("%d of %d have ended", over, len(rows))
		}
		return nil
	})
	return rows
}

// decision is a counter of the receiver, since the engine's last start.
func (h *host) decision(name string) int {
	h.t.Helper()
	_, text, err := fetch(h.t.Context(), h.url("/metrics"))
	if err != nil {
		h.t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, `runbook_webhook_alerts_total{decision="`+name+`"} `); ok {
			if _, err := fmt.Sscan(rest, &n); err != nil {
				h.t.Fatal(err)
			}
		}
	}
	return n
}

// eventually polls until check finds nothing wrong.
func eventually(t testing.TB, within time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s: %v", within, what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// tap stands between Alertmanager and the engine, and sees what is delivered.
type tap struct {
	*httptest.Server
	before func(delivery int) // is done before each is passed on; the first is 1

	mu         sync.Mutex
	begun      int
	deliveries []delivery
}

type delivery struct {
	body   []byte
	status int
}

func newTap(t testing.TB, to string) *tap {
	t.Helper()
	p := &tap{before: func(int) {}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		p.before(p.begin())
		status := http.StatusBadGateway
		if response, err := http.Post(to, "application/json", bytes.NewReader(body)); err == nil {
			response.Body.Close()
			status = response.StatusCode
		}
		p.mu.Lock()
		p.deliveries = append(p.deliveries, delivery{body, status})
		p.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *tap) begin() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun++
	return p.begun
}

func (p *tap) seen() []delivery {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]delivery(nil), p.deliveries...)
}

func (p *tap) statuses() map[int]int {
	count := map[int]int{}
	for _, d := range p.seen() {
		count[d.status]++
	}
	return count
}

func startAlertmanager(t testing.TB, options lab.AlertmanagerOptions) *lab.Alertmanager {
	t.Helper()
	a, err := lab.StartAlertmanager(t.Context(), t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Kill(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// raise posts alerts that fire until they are settled, one for each set of labels.
// Alertmanager sets the start where it is zero.
func raise(t testing.TB, to *lab.Alertmanager, startsAt time.Time, sets ...map[string]string) {
	t.Helper()
	post(t, to, startsAt, time.Time{}, sets)
}

// settle posts that they are over.
func settle(t testing.TB, to *lab.Alertmanager, startsAt time.Time, sets ...map[string]string) {
	t.Helper()
	post(t, to, startsAt, time.Now().Add(-time.Millisecond), sets)
}

func post(t testing.TB, to *lab.Alertmanager, startsAt, endsAt time.Time, sets []map[string]string) {
	t.Helper()
	if err := raiseAt(to, startsAt, endsAt, sets...); err != nil {
		t.Fatal(err)
	}
}

func raiseAt(to *lab.Alertmanager, startsAt, endsAt time.Time, sets ...map[string]string) error {
	var all models.PostableAlerts
	for _, labels := range sets {
		all = append(all, &models.PostableAlert{
			StartsAt: strfmt.DateTime(startsAt), EndsAt: strfmt.DateTime(endsAt), Alert: models.Alert{Labels: labels},
		})
	}
	_, err := to.API.Alert.PostAlerts(alert.NewPostAlertsParams().WithAlerts(all))
	return err
}

// silences counts those of each comment, which the runbooks here make; with
// their state.
func silences(t testing.TB, of *lab.Alertmanager) map[string]int {
	t.Helper()
	answer, err := of.API.Silence.GetSilences(silence.NewGetSilencesParamsWithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, s := range answer.Payload {
		about, _, _ := strings.Cut(*s.Comment, " (")
		count[about+" "+*s.Status.State]++
	}
	return count
}
