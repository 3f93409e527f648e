package lab_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/alertmanager/template"

	"github.com/runbook-engine/runbook/internal/lab"
)

const alertName = "DBPoolExhausted"

// TestIncident plays the whole story that the lab is for: a leak exhausts the
// pool, the alert reaches the webhook, ending the sessions relieves the pool
// for good, the alert is resolved.
func TestIncident(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, "secret")
	began := time.Now()
	env := startLab(t, lab.Options{Alertmanager: lab.AlertmanagerOptions{Webhook: receiver.webhook()}})
	t.Logf("lab ready after %s", time.Since(began))
	ctx := within(t, time.Minute)

	if pool, err := env.Orders.Pool(ctx); err != nil || !pool.Relieved() || pool.Size != 20 {
		t.Fatalf("a healthy pool is %+v, %v", pool, err)
	}
	exhausted := at(t)(env.Exhaust(ctx))
	at(t)(env.AwaitPool(ctx, func(p lab.Pool) bool { return p.Full() && p.Waiting > 0 }))
	if n := idleInTransaction(t, env); n != 20 {
		t.Errorf("%d sessions of orders-api are idle in transaction, want 20", n)
	}
	firing := at(t)(env.AwaitAlert(ctx, alertName, "firing"))
	message := receiver.await(ctx, t, "firing")
	delivered := time.Now()
	for name, want := range map[string]string{"severity": "critical", "env": "prod", "database": "orders", "db": "orders"} {
		if got := message.CommonLabels[name]; got != want {
			t.Errorf("the alert has %s=%q, want %q", name, got, want)
		}
	}

	terminated := terminate(t, env)
	if terminated != 20 {
		t.Errorf("ended %d sessions, want 20", terminated)
	}
	relieved := at(t)(env.AwaitPool(ctx, lab.Pool.Relieved))
	receiver.await(ctx, t, "resolved")
	t.Logf("exhausted to firing %s, webhook after %s, relief %s after that, resolved %s later",
		firing.Sub(exhausted), delivered.Sub(firing), relieved.Sub(delivered), time.Since(relieved))
	checkout(t, env)
}

func TestEndOfTheLeakRelievesThePool(t *testing.T) {
	t.Parallel()
	env := startLab(t, lab.Options{Orders: lab.OrdersOptions{PoolSize: 5, Traffic: 200}})
	ctx := within(t, time.Minute)
	at(t)(env.Exhaust(ctx))
	if n := idleInTransaction(t, env); n != 5 {
		t.Errorf("a busy service leaked %d of 5 connections", n)
	}
	if err := env.Orders.EndLeak(ctx); err != nil {
		t.Fatal(err)
	}
	at(t)(env.AwaitPool(ctx, lab.Pool.Relieved))
	checkout(t, env)
}

func TestWebhookSetLaterIsUsedByAllPeers(t *testing.T) {
	t.Parallel()
	env := startLab(t, lab.Options{Peers: 2})
	if len(env.Alertmanagers) != 2 {
		t.Fatalf("%d Alertmanagers", len(env.Alertmanagers))
	}
	receiver := newReceiver(t, "later")
	ctx := within(t, time.Minute)
	if err := env.SetWebhook(ctx, receiver.webhook()); err != nil {
		t.Fatal(err)
	}
	at(t)(env.Exhaust(ctx))
	receiver.await(ctx, t, "firing")
}

func TestServiceSurvivesARestartOfItsDatabase(t *testing.T) {
	t.Parallel()
	env := startLab(t, lab.Options{})
	ctx := within(t, time.Minute)
	if err := env.Postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := env.Postgres.Start(ctx); err != nil {
		t.Fatal(err)
	}
	at(t)(env.AwaitPool(ctx, lab.Pool.Relieved))
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		env, err := lab.Start(t.Context(), lab.Options{Dir: t.TempDir(), Keep: keep})
		if err != nil {
			t.Fatal(err)
		}
		if err := env.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(env.Dir); (err == nil) != keep {
			t.Errorf("with Keep %t the directory of the lab: %v", keep, err)
		}
		if _, err := env.Orders.Pool(t.Context()); err == nil {
			t.Error("the service still answers")
		}
		if err := env.Postgres.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFailedStartLeavesOnlyLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := lab.Start(t.Context(), lab.Options{Dir: dir, Orders: lab.OrdersOptions{Program: "/bin/false"}})
	if err == nil {
		t.Fatal("started without its service")
	}
	for _, want := range []string{"start orders-api", "it ended before it was ready (exit status 1)", dir, "orders-api.log"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("left %v, %v", left, err)
	}
	logs, err := os.ReadDir(dir + "/" + left[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range logs {
		if !strings.HasSuffix(entry.Name(), ".log") {
			t.Errorf("left %s", entry.Name())
		}
	}
}

func startLab(t *testing.T, options lab.Options) *lab.Lab {
	t.Helper()
	options.Dir = t.TempDir()
	env, err := lab.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Close(); err != nil {
			t.Error(err)
		}
	})
	return env
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func at(t *testing.T) func(time.Time, error) time.Time {
	return func(moment time.Time, err error) time.Time {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return moment
	}
}

func checkout(t *testing.T, env *lab.Lab) {
	t.Helper()
	response, err := http.Get(env.Orders.URL + "/checkout")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("checkout: %s", response.Status)
	}
}

// engine connects as the engine will.
func engine(t *testing.T, env *lab.Lab) *pgx.Conn {
	t.Helper()
	dsn, err := os.ReadFile(env.EngineDSNFile)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), strings.TrimSpace(string(dsn)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

const leaked = " FROM pg_stat_activity WHERE application_name = 'orders-api' AND state = 'idle in transaction'"

func idleInTransaction(t *testing.T, env *lab.Lab) (n int) {
	t.Helper()
	if err := engine(t, env).QueryRow(t.Context(), "SELECT count(*)"+leaked).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func terminate(t *testing.T, env *lab.Lab) (n int) {
	t.Helper()
	const question = "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))" + leaked
	if err := engine(t, env).QueryRow(t.Context(), question).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// receiver is a webhook that wants a bearer token.
type receiver struct {
	url, token string
	messages   chan template.Data
}

func newReceiver(t *testing.T, token string) *receiver {
	r := &receiver{token: token, messages: make(chan template.Data, 1000)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("webhook called with Authorization %q", request.Header.Get("Authorization"))
		}
		var message template.Data
		if err := json.NewDecoder(request.Body).Decode(&message); err != nil {
			t.Error(err)
		}
		r.messages <- message
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) webhook() lab.Webhook { return lab.Webhook{URL: r.url, BearerToken: r.token} }

func (r *receiver) await(ctx context.Context, t *testing.T, status string) template.Data {
	t.Helper()
	for {
		select {
		case message := <-r.messages:
			if message.Status == status {
				return message
			}
		case <-ctx.Done():
			t.Fatalf("no %s alert arrived", status)
		}
	}
}
