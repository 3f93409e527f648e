package orders_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/orders"
)

// serve runs the service on a PostgreSQL of its own and returns its address.
func serve(t *testing.T, config orders.Config) (url string, postgres *lab.Postgres) {
	t.Helper()
	postgres, err := lab.StartPostgres(t.Context(), t.TempDir(), lab.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Close(); err != nil {
			t.Error(err)
		}
	})
	config.DSN, config.Log = postgres.DSN(), slog.New(slog.DiscardHandler)
	service, err := orders.New(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- service.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		service.Close()
	})
	return "http://" + listener.Addr().String(), postgres
}

func TestCheckoutStoresAnOrder(t *testing.T) {
	url, postgres := serve(t, orders.Config{PoolSize: 2})
	if status, body := do(t, "GET", url+"/checkout"); status != 200 {
		t.Fatalf("checkout: %d %s", status, body)
	}
	if got := count(t, postgres, "SELECT count(*) FROM orders"); got != 1 {
		t.Errorf("%d orders in the database", got)
	}
	if got := metric(t, url, `http_requests_total{code="200",path="/checkout"}`); got != 1 {
		t.Errorf("counted %v checkouts", got)
	}
}

func TestLeakExhaustsThePool(t *testing.T) {
	url, postgres := serve(t, orders.Config{PoolSize: 3})
	status, body := do(t, "POST", url+"/fault/leak?sessions=3")
	if status != 200 || strings.TrimSpace(body) != `{"sessions":3}` {
		t.Fatalf("leak: %d %s", status, body)
	}
	for name, want := range map[string]float64{"size": 3, "in_use": 3, "idle": 0, "waiting": 0} {
		if got := metric(t, url, "db_pool_"+name+`{db="orders"}`); got != want {
			t.Errorf("db_pool_%s is %v, want %v", name, got, want)
		}
	}
	began := time.Now()
	if status, _ := do(t, "GET", url+"/checkout"); status != http.StatusServiceUnavailable {
		t.Errorf("checkout with an exhausted pool: %d", status)
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("checkout gave up after %s, want 1s", took)
	}
	const idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'orders-api' AND state = 'idle in transaction'"
	if got := count(t, postgres, idle); got != 3 {
		t.Errorf("%d sessions are idle in transaction, want 3", got)
	}
}

func TestWaitingGrowsWithTraffic(t *testing.T) {
	url, _ := serve(t, orders.Config{PoolSize: 2, Traffic: 50})
	// A request may have the connection that is asked for.
	for leaked := 0; leaked < 2; {
		if _, body := do(t, "POST", url+"/fault/leak?sessions=1"); strings.TrimSpace(body) == `{"sessions":1}` {
			leaked++
		}
	}
	eventually(t, "10 requests wait", func() bool { return metric(t, url, `db_pool_waiting{db="orders"}`) >= 10 })
	do(t, "DELETE", url+"/fault/leak")
	eventually(t, "nobody waits", func() bool { return metric(t, url, `db_pool_waiting{db="orders"}`) == 0 })
}

func TestEndOfSessionsRelievesThePool(t *testing.T) {
	url, postgres := serve(t, orders.Config{PoolSize: 2})
	do(t, "POST", url+"/fault/leak?sessions=2")
	const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'orders-api'"
	if err := postgres.Exec(t.Context(), "postgres", end); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pool is free", func() bool { return metric(t, url, `db_pool_in_use{db="orders"}`) == 0 })
	if status, body := do(t, "GET", url+"/checkout"); status != 200 {
		t.Errorf("checkout: %d %s", status, body)
	}
}

func TestEndOfTheLeakRelievesThePool(t *testing.T) {
	url, _ := serve(t, orders.Config{PoolSize: 2})
	do(t, "POST", url+"/fault/leak?sessions=2")
	do(t, "DELETE", url+"/fault/leak")
	if got := metric(t, url, `db_pool_in_use{db="orders"}`); got != 0 {
		t.Errorf("%v connections still in use", got)
	}
}

func TestLeakOfMoreThanThePoolTellsHowManyItGot(t *testing.T) {
	url, _ := serve(t, orders.Config{PoolSize: 2})
	if _, body := do(t, "POST", url+"/fault/leak?sessions=5"); strings.TrimSpace(body) != `{"sessions":2}` {
		t.Errorf("leaked %s", body)
	}
}

func TestLeakRefusesNonsense(t *testing.T) {
	url, _ := serve(t, orders.Config{PoolSize: 2})
	for _, sessions := range []string{"", "0", "-1", "1001", "many"} {
		if status, _ := do(t, "POST", url+"/fault/leak?sessions="+sessions); status != http.StatusBadRequest {
			t.Errorf("sessions=%q: %d", sessions, status)
		}
	}
}

func TestNoPasswordInErrors(t *testing.T) {
	config := orders.Config{DSN: "postgres://u:hunter2@127.0.0.1:1/orders", PoolSize: 1, Log: slog.New(slog.DiscardHandler)}
	for _, dsn := range []string{config.DSN, config.DSN + "?sslmode=nonsense"} {
		config.DSN = dsn
		_, err := orders.New(t.Context(), config)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error is %v", err)
		}
	}
}

func do(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
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

func count(t *testing.T, postgres *lab.Postgres, question string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), postgres.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := conn.QueryRow(t.Context(), question).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func metric(t *testing.T, url, series string) float64 {
	t.Helper()
	_, body := do(t, "GET", url+"/metrics")
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no %s in the metrics", series)
	}
	value, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
