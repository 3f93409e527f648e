package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// ward is a stage with one fault of each injector in it: on a toxiproxy-server, on
// a process, in PostgreSQL and of Chaos Mesh.
type ward struct {
	*stage
	lock     func() error // asks for the table
	drill    string
	deadline time.Time
}

const wardDrill = `
gameday: ward
summary: Everything suffers at once.
steady: [{id: up, do: http.get, with: {connection: shop, url: /checkout, timeout: 1s}, expect: status == 200, no_answer: bad, every: 500ms, abort_after: 9m}]
faults:
  - {id: way, inject: toxiproxy.black_hole, with: {proxy: foreign}, for: %[1]s}
  - {id: backend, inject: process.stop, with: {process: backend}, for: %[1]s}
  - {id: lock, inject: postgres.hold_lock, with: {database: orders, table: orders}, for: %[1]s}
  - {id: net, inject: chaosmesh.network_delay, with: {pods: {namespace: %[2]s, labels: {app: orders}}, latency: 1s}, for: %[1]s}
expect: {alert: {matchers: ['alertname="Never"'], within: 9m}}
limits: {namespaces: [%[2]s]}
`

const wardConnections = `  orders: {postgres: {dsn_file: %s}}
`

// newWard has a database of its own, at the address of the server or of what
// stands before it.
func newWard(t *testing.T, cluster *testcluster.Cluster, postgres *lab.Postgres, address string, lasts time.Duration) *ward {
	t.Helper()
	w, m := &ward{}, newMesh(t, cluster)
	database := strings.ReplaceAll(m.namespace, "-", "_")
	err := postgres.Exec(t.Context(), "postgres", "CREATE DATABASE "+database)
	if err = errors.Join(err, postgres.Exec(t.Context(), database, "CREATE TABLE orders ()")); err != nil {
		t.Fatal(err)
	}
	w.stage = newStage(t, fmt.Sprintf(wardConnections, dsnFile(t, postgres, address, database))+m.connection(), "")
	w.mesh = m
	w.write("books/ward.gameday.yaml", fmt.Sprintf(wardDrill, lasts, w.mesh.namespace))
	w.lock = func() error {
		return postgres.Exec(context.WithoutCancel(t.Context()), database, "BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE NOWAIT")
	}
	return w
}

// disturb plays the drill until each system suffers.
func (w *ward) disturb(lasts time.Duration) {
	w.t.Helper()
	w.start()
	var started api.Started
	if err := w.post("/api/v1/drills", api.Drill{Gameday: "ward"}, &started); err != nil {
		w.t.Fatal(err)
	}
	w.drill = started.ID
	eventually(w.t, 2*time.Minute, "every fault", func() error {
		if ill := w.suffering(); len(ill) < 4 {
			return fmt.Errorf("only these suffer: %v", ill)
		}
		return nil
	})
	w.deadline = time.Now().Add(lasts)
}

// suffering is what of the faults the systems themselves show, and their data
// paths.
func (w *ward) suffering() (all []string) {
	if ask(w.backend, hangs) != nil {
		all = append(all, "backend")
	}
	if w.disturbed() {
		all = append(all, "way")
	}
	if w.lock() != nil {
		all = append(all, "lock")
	}
	if w.mesh.ruled() {
		all = append(all, "net")
	}
	return all
}

// disturbed: the way is asked, unless what is behind it would not answer.
func (w *ward) disturbed() bool {
	_, text, err := fetch(context.WithoutCancel(w.t.Context()), w.server.URL+"/proxies/foreign/toxics")
	var toxics []json.RawMessage
	if err != nil || json.Unmarshal([]byte(text), &toxics) != nil || len(toxics) > 0 {
		return true
	}
	return ask(w.backend, hangs) == nil && ask(w.foreign, hangs) != nil
}

// well waits until none of these suffers any more.
func (w *ward) well(by time.Time, what ...string) {
	w.t.Helper()
	began := time.Now()
	eventually(w.t, time.Until(by), fmt.Sprint(what, " to be well"), func() error {
		for _, one := range w.suffering() {
			for _, wanted := range what {
				if one == wanted {
					return fmt.Errorf("%s suffers", one)
				}
			}
		}
		return nil
	})
	w.t.Logf("%v was well after %s", what, time.Since(began).Round(10*time.Millisecond))
}

// One cluster, with Chaos Mesh, serves all of these. Of three healers each one alone
// ends every fault within its bound: the others can not.
func TestOnACluster(t *testing.T) {
	t.Parallel()
	cluster := startMeshCluster(t)
	postgres := startPostgres(t)
	t.Run("a pod is killed", func(t *testing.T) { podKilled(t, cluster) })
	t.Run("no token is kept", func(t *testing.T) { noTokenIsKept(t, cluster) })
	t.Run("workflow", func(t *testing.T) { workflowAlone(t, cluster, postgres) })
	t.Run("janitor", func(t *testing.T) { janitorAlone(t, cluster, postgres) })
	// The last: its experiment is left for an engine to delete.
	t.Run("backstop", func(t *testing.T) { backstopAlone(t, cluster, postgres) })
}

// The engine is killed and never started again: there is no workflow and no
// janitor.
func backstopAlone(t *testing.T, cluster *testcluster.Cluster, postgres *lab.Postgres) {
	const lasts = 12 * time.Second
	w := newWard(t, cluster, postgres, postgres.Address(), lasts)
	w.disturb(lasts)
	w.process.kill()
	w.well(time.Now().Add(backstopWithin), "way", "backend", "lock")
	w.well(w.deadline.Add(backstopWithin), "net") // which Chaos Mesh ends at the deadline
}

// The engine and its backstops are killed, the history of the drill is gone, and
// nothing ends the experiment of Chaos Mesh, nor the session that a pooler keeps:
// the next engine knows of nothing.
func janitorAlone(t *testing.T, cluster *testcluster.Cluster, postgres *lab.Postgres) {
	const lasts = 8 * time.Second
	w := newWard(t, cluster, postgres, newPooler(t, postgres.Address()), lasts)
	w.disturb(lasts)
	w.mesh.withoutEnd()
	w.killAll(backstopModes...)
	if err := os.RemoveAll(filepath.Join(w.dir, "data")); err != nil {
		t.Fatal(err)
	}
	if ill := w.suffering(); len(ill) != 4 {
		t.Fatalf("only %v were left to heal", ill)
	}
	w.start()
	w.well(later(w.deadline, time.Now()).Add(janitorWithin), "way", "backend", "lock", "net")
}

// janitorWithin is what docs/gamedays.md says: its grace, its round, and a little
// for the work.
const janitorWithin = 30 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// The backstops are there and can do nothing, and no deadline is near, before
// which neither the janitor nor Chaos Mesh ends anything. The controller of Chaos
// Mesh is dead when the drill is stopped, and comes back.
func workflowAlone(t *testing.T, cluster *testcluster.Cluster, postgres *lab.Postgres) {
	const lasts = 9 * time.Minute
	w := newWard(t, cluster, postgres, postgres.Address(), lasts)
	w.disturb(lasts)
	children := w.backstops(backstopModes...)
	if len(children) != 2 {
		t.Fatalf("the engine has the backstops %v", children)
	}
	signalAll(children, syscall.SIGSTOP)
	w.mesh.controller.kill()
	if err := w.post("/api/v1/drills/"+w.drill+"/abort", api.Ask{Reason: "it is enough"}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	w.well(time.Now().Add(healedWithin), "way", "backend", "lock")
	if !w.mesh.ruled() {
		t.Error("the rules of Chaos Mesh were gone without its controller")
	}
	w.mesh.start()
	w.well(time.Now().Add(healedWithin), "net")
	if d := w.ending(w.drill); d.Verdict == nil || d.Verdict.Verdict != "aborted" {
		t.Errorf("%+v", d.Verdict)
	}
}
