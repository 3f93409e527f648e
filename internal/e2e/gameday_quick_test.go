package e2e

import (
	"strings"
	"testing"
)

// quickPool is the shipped runbook, in no need to rest between two drills.
func quickPool(t *testing.T) string {
	return strings.ReplaceAll(shipped(t, "db-pool-exhausted.yaml", map[string]string{
		"cooldown: 10m": "cooldown: 1s", "[3/h, 7/d]": "[1000/h]", "hold: 10s": "hold: 1s",
	}), "within: 1m", "within: 10s")
}

const quickDay = `
gameday: mutated
proves: db-pool-exhausted
scope: ['env="prod"']
steady:
  - {id: checkout, do: http.get, with: {url: /checkout, connection: desk, timeout: 2s}, expect: status == 200, no_answer: bad, every: 300ms}
faults:
  - {id: lock, inject: postgres.hold_lock, with: {database: app, table: orders}, for: 1m}
expect:
  alert: {matchers: ['alertname="DBPoolExhausted"'], within: 30s}
  runbook: {outcome: fixed, steps: [release], within: 15s}
  recovered: {within: 30s, hold: 2s, because: runbook}
hooks: {webhook: desk, grafana: desk}
`

// frozenDay freezes the service itself. Its runbook only tells somebody, who puts
// another process in the place of the frozen one.
const frozenDay = `
gameday: mutated
proves: orders-frozen
scope: ['env="prod"']
steady:
  - {id: checkout, do: http.get, with: {url: /checkout, connection: desk, timeout: 1s}, expect: status == 200, no_answer: bad, every: 300ms}
faults:
  - {id: frozen, inject: process.stop, with: {process: orders-api}, for: 1m}
expect:
  alert: {matchers: ['alertname="OrdersFrozen"'], within: 12s}
  runbook: {outcome: fixed, steps: [tell], within: 6s}
  recovered: {within: 20s, hold: 2s, because: runbook}
`

const frozenBook = `
runbook: orders-frozen
summary: Tell somebody that the service is frozen.
triggers: [{alert: OrdersFrozen}]
autonomy: auto
steps:
  - {id: tell, do: http.request, with: {connection: desk, url: /replace, method: POST}}
verify: {do: prometheus.query, with: {query: 'min(up{job="orders-api"})'}, until: value == 1, every: 300ms, within: 10s, hold: 1s}
`

// idleBook has the name of the runbook that is proved, and does nothing.
const idleBook = `
runbook: db-pool-exhausted
summary: Wait for better times.
triggers: [{alert: DBPoolExhausted}]
autonomy: auto
steps:
  - {id: release, do: wait, with: {duration: 100ms}}
verify: {do: prometheus.query, with: {query: 'max(db_pool_waiting / db_pool_size)'}, until: value < 0.1, every: 300ms, within: 5s, hold: 1s}
`

const frozenRule = `
groups:
  - name: frozen
    rules:
      - {alert: OrdersFrozen, expr: 'up{job="orders-api"} == 0', for: 1s, labels: {severity: critical, env: prod}}
`

func mutatedBook(t *testing.T, how string) string {
	book := quickPool(t)
	switch how {
	case "":
	case "autonomy: off":
		book = strings.Replace(book, "autonomy: auto", how, 1)
	case "nothing":
		book = idleBook
	case "another":
		other := strings.Replace(book, "runbook: db-pool-exhausted", "runbook: another", 1)
		book = strings.Replace(book, `severity=~"critical|page"`, `severity="page"`, 1) + "\n---\n" + other
	case "frozen":
		book = frozenBook
	}
	return book
}
