package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/client/alert"

	"github.com/runbook-engine/runbook/deploy"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// stand is a lab in which mutation after mutation is played.
type stand struct {
	*theatre
	blind    bool   // the probe has no answer
	replaces func() // is done when the runbook of the frozen service acts
}

func newStand(t *testing.T) *stand {
	t.Helper()
	x := &stand{theatre: &theatre{lab: startLab(t, lab.Options{Orders: lab.OrdersOptions{Traffic: 60}})}}
	front := http.NewServeMux()
	front.HandleFunc("GET /checkout", x.checkout)
	front.HandleFunc("POST /", x.desk)
	front.HandleFunc("POST /replace", func(http.ResponseWriter, *http.Request) { x.replaces() })
	desk := httptest.NewServer(front)
	t.Cleanup(desk.Close)
	pid := filepath.Join(t.TempDir(), "orders.pid")
	x.host = newHost(t, fmt.Sprintf("connections:\n  orders: {postgres: {dsn_file: %s}}\n  app: {postgres: {dsn_file: %s}}\n  metrics: {prometheus: {url: %s}}\n"+
		"  alerts: {alertmanager: {url: %s}}\n  desk: {http: {url: %s}}\n  orders-api: {process: {pid_file: %s}}\n",
		x.lab.EngineDSNFile, x.lab.ServiceDSNFile, x.lab.Prometheus.URL, x.lab.Alertmanagers[0].URL, desk.URL, pid), quickPool(t))
	x.replaces = func() { x.replace(t, pid) }
	x.pidFile(t, pid)
	x.host.write("books/day.yaml", quickDay)
	x.host.start()
	x.webhookTo(t, x.host.webhook())
	x.setRules(t, "orders.yml", quickRules(t))
	return x
}

// quickRules raise the alert also while requests that gave up free connections for
// a moment.
func quickRules(t *testing.T) string {
	t.Helper()
	rules, err := fs.ReadFile(deploy.AlertRules(), "orders.yml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("> 0.9", "> 0.5", "for: 2s", "for: 1s", "older_than: 2s", "older_than: 1s").Replace(string(rules))
}

// seen plays the drill, and lets the mutation see it.
func (x *stand) seen(t *testing.T, m mutation) (d drills.Drill) {
	t.Helper()
	var started api.Started
	if err := x.post("/api/v1/drills", api.Drill{Gameday: "mutated", Control: m.control}, &started); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Minute, "the drill to end", func() error {
		if err := x.get("/api/v1/drills/"+started.ID, &d); err != nil {
			return err
		}
		if m.sees != nil {
			m.sees(x, d)
		}
		if d.Phase != drills.Ended {
			return fmt.Errorf("it is %s", d.Phase)
		}
		return nil
	})
	return d
}

// calm waits until nothing fires and nothing runs.
func (x *stand) calm(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "alerts and runs to be over", func() error {
		list, err := x.lab.Alertmanagers[0].API.Alert.GetAlerts(alert.NewGetAlertsParamsWithContext(t.Context()).WithFilter([]string{`env="prod"`, `raised_by!="runbook"`}))
		if err == nil && len(list.Payload) > 0 {
			err = fmt.Errorf("%d alerts fire", len(list.Payload))
		}
		if err != nil {
			return err
		}
		var rows []runs.Row
		if err := x.get("/api/v1/runs?limit=1000", &rows); err != nil {
			return err
		}
		if i := slices.IndexFunc(rows, func(r runs.Row) bool { return r.Status != run.Ended }); i >= 0 {
			return fmt.Errorf("run %s is %s", rows[i].ID, rows[i].Status)
		}
		return nil
	})
}

func (x *stand) reload(t *testing.T) {
	t.Helper()
	answer, err := http.Post(x.url("/-/reload"), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("reload: %s", read(t, answer.Body))
	}
}

func (x *stand) ruled(t *testing.T, file, during, after string) func() {
	x.setRules(t, file, during)
	return func() { x.setRules(t, file, after) }
}

func (x *stand) setRules(t *testing.T, file, text string) {
	t.Helper()
	if err := x.lab.Prometheus.SetRules(t.Context(), file, text); err != nil {
		t.Error(err)
	}
}

func (x *stand) webhookTo(t *testing.T, url string) {
	t.Helper()
	if err := x.lab.SetWebhook(t.Context(), lab.Webhook{URL: url}); err != nil {
		t.Fatal(err)
	}
}

// checkout is the way of the probe to the service.
func (x *stand) checkout(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	blind := x.blind
	x.mu.Unlock()
	if blind {
		panic(http.ErrAbortHandler)
	}
	status, text, err := fetch(r.Context(), x.lab.Orders.URL+"/checkout")
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// replace ends the frozen service and starts another one.
func (x *stand) replace(t *testing.T, pid string) {
	if err := x.lab.Orders.Kill(); err != nil {
		t.Error(err)
	}
	if err := x.lab.Orders.Start(t.Context()); err != nil {
		t.Error(err)
	}
	x.pidFile(t, pid)
}

func (x *stand) pidFile(t *testing.T, path string) {
	if err := os.WriteFile(path, []byte(strconv.Itoa(x.lab.Orders.PID())), 0o600); err != nil {
		t.Error(err)
	}
}
