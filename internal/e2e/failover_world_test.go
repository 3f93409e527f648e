//go:build unix

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
	"github.com/runbook-engine/runbook/internal/lab/writer"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
)

// canary is the password of the engine's role, which must show nowhere.
const canary = "canary-7be21f"

// cluster is a PostgreSQL pair behind HAProxy with somebody who writes, and an
// engine that has the shipped runbook for it.
type cluster struct {
	t       testing.TB
	pair    *lab.PostgresPair
	front   *proxy.HAProxy
	monitor *httptest.Server
	writer  *writer.Writer
	host    *host
	people  *lab.Alertmanager
	off     string    // what the fence leaves behind
	faulty  time.Time // when the fault was complete
}

// failoverOptions says how.
type failoverOptions struct {
	heartbeat   time.Duration
	synchronous bool
	brokenFence bool
}

func newCluster(t testing.TB, o failoverOptions) *cluster {
	t.Helper()
	c := &cluster{t: t}
	c.servers(o)
	dir := t.TempDir()
	c.people = startAlertmanager(t, lab.AlertmanagerOptions{})
	c.host = newHost(t, c.connections(dir, o), c.document(dir, o)).start()
	c.alerts()
	c.writer = writer.Start(c.through(c.pair.Primary.DSN()))
	t.Cleanup(c.writer.Stop)
	if _, err := c.writer.AwaitWrite(c.patience(), time.Now()); err != nil {
		t.Fatalf("no write before the fault: %v", err)
	}
	return c
}

func (c *cluster) patience() context.Context {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	c.t.Cleanup(cancel)
	return ctx
}

func (c *cluster) servers(o failoverOptions) {
	c.t.Helper()
	var err error
	c.pair, err = lab.StartPostgresPair(c.t.Context(), c.t.TempDir(), lab.PostgresPairOptions{
		Synchronous: o.synchronous,
		Settings:    map[string]string{"wal_receiver_timeout": fmt.Sprint(o.heartbeat.Milliseconds() * 4 / 3), "wal_log_hints": "on"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = c.pair.Close() })
	for _, statement := range []string{
		"CREATE ROLE engine LOGIN PASSWORD '" + canary + "' IN ROLE pg_read_all_stats",
		"GRANT EXECUTE ON FUNCTION pg_promote TO engine",
		writer.Table,
		"CREATE TABLE runbook_proof (key text PRIMARY KEY, written timestamptz NOT NULL DEFAULT now())",
		"GRANT ALL ON runbook_proof TO engine",
	} {
		if err := c.pair.Primary.Exec(c.t.Context(), "postgres", statement); err != nil {
			c.t.Fatal(err)
		}
	}
	c.front, err = proxy.StartHAProxy(c.t.Context(), c.t.TempDir(), "orders", []proxy.HAProxyServer{
		{Name: "orders-a", Address: c.pair.Clients.Address()},
		{Name: "orders-b", Address: c.pair.Standby.Address(), Out: true},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = c.front.Kill() })
}

func (c *cluster) through(dsn string) string {
	return c.front.Through(dsn, c.pair.Primary.Address())
}

// connections are what the engine has. The fence is a power switch: whatever
// state the primary is in, it has no process afterwards.
func (c *cluster) connections(dir string, o failoverOptions) string {
	c.t.Helper()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte(canary), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.off = filepath.Join(dir, "off")
	text := "connections:\n"
	for _, at := range [][2]string{
		{"orders-a", c.pair.Engine.Address()}, {"orders-b", c.pair.Standby.Address()}, {"orders", c.front.Address},
	} {
		address, port, _ := net.SplitHostPort(at[1])
		text += fmt.Sprintf("  %s: {postgres: {host: %s, port: %s, user: engine, password_file: %s, database: postgres, sslmode: disable}}\n",
			at[0], address, port, password)
	}
	text += "  edge: {haproxy: {address: '" + c.front.Admin + "'}}\n"
	fence := filepath.Join(dir, "fence-postgres")
	script := fmt.Sprintf("#!/bin/sh\nm=%d\nfor p in $m $(ps -A -o pid= -o ppid= | awk -v m=$m '$2 == m {print $1}'); do kill -9 $p 2>/dev/null; done\necho \"$1\" >>%s\n",
		c.pair.Primary.PID(), c.off)
	if o.brokenFence {
		script = "#!/bin/sh\necho 'no answer from the power switch' >&2\nexit 1\n"
	}
	if err := os.WriteFile(fence, []byte(script), 0o755); err != nil {
		c.t.Fatal(err)
	}
	return text + "  people: {alertmanager: {url: '" + c.people.URL + "'}}\n  ops: {exec: {allow: [{argv: [" + fence + ", 'orders-*']}]}}\nalertmanagers: [people]\n"
}

// document is the shipped one, but for the place of the fence and the need of a
// proof.
func (c *cluster) document(dir string, o failoverOptions) string {
	c.t.Helper()
	return shipped(c.t, "primary-down.yaml", map[string]string{
		"/usr/local/sbin/fence-postgres, '":    filepath.Join(dir, "fence-postgres") + ", '",
		"{level: auto, proof: {max_age: 30d}}": "auto",
		"default: 3s":                          "default: " + o.heartbeat.String(),
		"within: 30s":                          "within: " + (8 * o.heartbeat).String(),
		"within: 1m":                           "within: 10s",
		"hold: 5s":                             "hold: 1s",
	})
}

// alerts are raised by the shipped rule in a real Prometheus. Only the exporter is
// a stand-in, for postgres_exporter: it logs in and says whether it could.
func (c *cluster) alerts() {
	c.t.Helper()
	var up atomic.Int32
	ctx, stop := context.WithCancel(context.Background())
	c.t.Cleanup(stop)
	go func() {
		for ctx.Err() == nil {
			up.Store(c.logsIn(ctx))
			time.Sleep(100 * time.Millisecond)
		}
	}()
	c.monitor = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "pg_up{role=\"primary\",database=\"orders\",primary=\"orders-a\",standby=\"orders-b\"} %d\n", up.Load())
	}))
	c.t.Cleanup(c.monitor.Close)
	if err := c.people.Reconfigure(c.t.Context(), lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: c.host.webhook()}}); err != nil {
		c.t.Fatal(err)
	}
	p, err := lab.StartPrometheus(c.t.Context(), c.t.TempDir(), lab.PrometheusOptions{
		Interval: 500 * time.Millisecond, Alertmanagers: []string{c.people.Address()},
		Targets: map[string][]string{"postgres": {strings.TrimPrefix(c.monitor.URL, "http://")}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = p.Kill() })
	eventually(c.t, time.Minute, "Prometheus to see the primary up", func() error {
		value, found, err := p.Value(c.t.Context(), "pg_up")
		if err == nil && (!found || value != 1) {
			err = fmt.Errorf("it sees %v", value)
		}
		return err
	})
}

// logsIn is 1 when the exporter can.
func (c *cluster) logsIn(ctx context.Context) int32 {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, strings.Replace(c.pair.Primary.DSN(), c.pair.Primary.Address(), c.pair.Engine.Address(), 1))
	if err != nil {
		return 0
	}
	_ = conn.Close(ctx)
	return 1
}

// cutOff is a failover that somebody began and did not finish: the standby was
// promoted, and no client is led there.
const cutOff = "cut off after the promotion"

// inject makes the primary die.
func (c *cluster) inject(fault string) time.Time {
	c.t.Helper()
	at := time.Now()
	var err error
	switch fault {
	case "kill -9":
		err = c.pair.Primary.Kill()
	case "SIGSTOP":
		err = lab.Signal(c.pair.Primary.PID(), syscall.SIGSTOP)
	case "black hole":
		c.pair.BlackHole()
	case cutOff:
		if err = c.pair.Primary.Kill(); err == nil {
			err = c.pair.Standby.Exec(c.t.Context(), "postgres", "SELECT pg_promote()")
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.faulty = time.Now()
	return at
}

// recovered is how long it took from a moment until a write that began after it
// was acknowledged by the new primary.
func (c *cluster) recovered(since time.Time) time.Duration {
	c.t.Helper()
	// What was on its way when it happened may still arrive.
	back, err := c.writer.AwaitWrite(c.patience(), c.faulty.Add(200*time.Millisecond))
	if err != nil {
		c.t.Fatalf("no write since the fault: %v", err)
	}
	return back.Sub(since)
}

// lost are the numbers that were acknowledged and are not there.
func (c *cluster) lost() (lost []int64) {
	c.t.Helper()
	c.writer.Stop()
	conn, err := pgx.Connect(c.t.Context(), c.pair.Standby.DSN())
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(c.t.Context(), "SELECT number FROM written ORDER BY number")
	if err != nil {
		c.t.Fatal(err)
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		c.t.Fatal(err)
	}
	for _, number := range c.writer.Acknowledged() {
		if _, found := slices.BinarySearch(there, number); !found {
			lost = append(lost, number)
		}
	}
	return lost
}

// writable are the servers that take a write, each asked directly.
func (c *cluster) writable() (names []string) {
	for name, server := range map[string]*lab.Postgres{"primary": c.pair.Primary, "standby": c.pair.Standby} {
		ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
		if server.Exec(ctx, "postgres", "CREATE TABLE IF NOT EXISTS marks (at timestamptz); INSERT INTO marks VALUES (now())") == nil {
			names = append(names, name)
		}
		cancel()
	}
	slices.Sort(names)
	return names
}

// first waits for the end of the first run, and gives all that is known of it.
func (c *cluster) first(within time.Duration) (run.Run, string) {
	c.t.Helper()
	var rows []runs.Row
	eventually(c.t, within, "the run to end", func() error {
		err := c.host.get("/api/v1/runs?limit=100", &rows)
		if err == nil && (len(rows) == 0 || rows[len(rows)-1].Status != run.Ended) {
			err = fmt.Errorf("there are %d", len(rows))
		}
		return err
	})
	var raw json.RawMessage
	if err := c.host.get("/api/v1/runs/"+rows[len(rows)-1].ID, &raw); err != nil {
		c.t.Fatal(err)
	}
	var r run.Run
	if err := json.Unmarshal(raw, &r); err != nil {
		c.t.Fatal(err)
	}
	return r, string(raw)
}

// mend makes all ways to the primary whole again.
func (c *cluster) mend() {
	c.pair.Replication.Mend()
	c.pair.Clients.Mend()
	c.pair.Engine.Mend()
}

// takesOver injects a fault and holds the failover to what it promises.
func (c *cluster) takesOver(fault string) (took time.Duration) {
	c.t.Helper()
	since := c.inject(fault)
	took = c.recovered(since)
	r, text := c.first(2 * time.Minute)
	c.t.Log(timeline(r, since, took))
	if r.Outcome != run.Fixed {
		c.t.Errorf("the run ended %s: %s", r.Outcome, text)
	}
	if strings.Contains(text, canary) {
		c.t.Error("a password shows in the run")
	}
	if lost := c.lost(); len(lost) > 0 {
		c.t.Errorf("acknowledged and lost: %v", lost)
	}
	c.mend()
	if both := c.writable(); fmt.Sprint(both) != "[standby]" {
		c.t.Errorf("writes are taken by %v", both)
	}
	return took
}

// timeline is where the time went.
func timeline(r run.Run, since time.Time, took time.Duration) string {
	text := fmt.Sprintf("after the fault: run %.1fs", r.StartedAt.Sub(since).Seconds())
	for _, s := range r.Steps {
		if s.EndedAt != nil {
			text += fmt.Sprintf(", %s %.1f-%.1fs", s.ID, s.StartedAt.Sub(since).Seconds(), s.EndedAt.Sub(since).Seconds())
		}
	}
	var confirmed struct{ Took string }
	_ = json.Unmarshal(r.Steps[0].Output, &confirmed)
	return text + fmt.Sprintf(" (confirm watched %s), writes %.1fs", confirmed.Took, took.Seconds())
}
