package e2e

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/run"
)

// reliever ends the idle sessions of the demo service, and is under way for some
// seconds after that.
const reliever = `
runbook: reliever
summary: End the sessions that hold connections, then watch.
triggers: [{alert: DBPoolExhausted}]
autonomy: auto
steps:
  - id: release
    do: postgres.terminate_backends
    with: {database: orders, state: idle in transaction, older_than: 0s, limit: 100}
  - id: calm
    do: wait
    with: {duration: 3s}
verify:
  do: prometheus.query
  with: {query: 'max(db_pool_in_use{db="orders"} / db_pool_size)'}
  until: value < 0.7
  every: 200ms
  within: 30s
  hold: 1s
`

// ended finds the sessions that PostgreSQL was told to end.
var terminated = regexp.MustCompile(`\[(\d+)\][^\n]*FATAL:  terminating connection due to administrator command`)

// terminations counts them by process.
func terminations(t *testing.T, env *lab.Lab) map[string]int {
	t.Helper()
	text, err := os.ReadFile(env.Postgres.Log())
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, m := range terminated.FindAllStringSubmatch(string(text), -1) {
		count[m[1]]++
	}
	return count
}

func startLab(t *testing.T, options lab.Options) *lab.Lab {
	t.Helper()
	options.Dir = t.TempDir()
	options.Postgres.Settings = map[string]string{"log_line_prefix": "%m [%p] "}
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

func connectLab(env *lab.Lab) string {
	return fmt.Sprintf(`connections:
  orders: {postgres: {dsn_file: %s}}
  prom: {prometheus: {url: '%s'}}
  am: {alertmanager: {url: '%s'}}
`, env.EngineDSNFile, env.Prometheus.URL, env.Alertmanagers[0].URL)
}

// A run that was under way when the engine died is carried to its end by the
// next engine, and touches nothing twice.
func TestARunUnderWayFinishesAfterAKill(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*child){"killed": (*child).kill, "stopped": (*child).stop} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := startLab(t, lab.Options{})
			h := newHost(t, connectLab(env), reliever).start()
			if err := env.SetWebhook(t.Context(), lab.Webhook{URL: h.webhook()}); err != nil {
				t.Fatal(err)
			}
			if _, err := env.Exhaust(t.Context()); err != nil {
				t.Fatal(err)
			}
			eventually(t, time.Minute, "the run to act", func() error {
				if len(terminations(t, env)) == 0 {
					return fmt.Errorf("no session was ended yet")
				}
				return nil
			})
			end(h.process)
			died := time.Now()
			h.start()
			rows := h.ended(time.Minute, 1)
			t.Logf("ended %s, %s after the engine", rows[0].Outcome, time.Since(died).Round(time.Millisecond))
			if rows[0].Outcome != run.Fixed {
				t.Errorf("the run ended %s: %s", rows[0].Outcome, rows[0].Reason)
			}
			found := terminations(t, env)
			if len(found) != env.Orders.PoolSize {
				t.Errorf("%d sessions were ended, the pool had %d", len(found), env.Orders.PoolSize)
			}
			for pid, times := range found {
				if times != 1 {
					t.Errorf("session %s was ended %d times", pid, times)
				}
			}
		})
	}
}
