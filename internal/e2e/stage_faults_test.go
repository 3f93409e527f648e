package e2e

import (
	"fmt"
	"strings"
	"time"
)

const stageDrill = `
gameday: %s
summary: The way to the backend is disturbed.
proves: fall-back
steady: [{id: checkout, do: http.get, with: {connection: shop, url: /checkout, timeout: 1s}, expect: status == 200, no_answer: bad, every: %s, abort_after: 50s}]
faults: [{id: way, inject: %s, with: %s, for: %s}]
expect:
  alert: {matchers: ['alertname="ShopDown"'], within: 15s}
  runbook: {outcome: fixed, steps: [switch], within: 15s}
  recovered: {within: 20s, hold: 2s, because: runbook}
limits: {namespaces: [%s]}
hooks: {webhook: shop}
`

const (
	// stageWithin is what a drill of the stage gives the alert, and the runbook too.
	stageWithin = 15 * time.Second
	// stageLasts is when the injector itself ends a fault of the stage.
	stageLasts = 40 * time.Second
)

// stageFaults are game days of each stage: what is injected, whose way it
// disturbs, and how often the drill looks. One that looks seldom has more that it
// does not see.
var stageFaults = []stageFault{
	{"own-hole", "toxiproxy.black_hole", "{proxy: own}", ownWay, "500ms"},
	{"own-seldom", "toxiproxy.black_hole", "{proxy: own}", ownWay, "3s"},
	{"own-late", "toxiproxy.latency", "{proxy: own, latency: 5s}", ownWay, "500ms"},
	{"foreign-hole", "toxiproxy.black_hole", "{proxy: foreign}", foreignWay, "500ms"},
	{"foreign-down", "toxiproxy.down", "{proxy: foreign}", foreignWay, "500ms"},
	{"backend-stop", "process.stop", "{process: backend}", backendWay, "500ms"},
	{"backend-seldom", "process.stop", "{process: backend}", backendWay, "3s"},
}

// databaseFaults are those of a stage with a database, and meshFaults of one in a
// cluster.
var (
	databaseFaults = []stageFault{{"database-full", "postgres.hold_connections", fmt.Sprintf("{database: orders, sessions: %d}", databaseSeats), databaseWay, "500ms"}}
	meshFaults     = []stageFault{
		{"mesh-late", "chaosmesh.network_delay", "{pods: {namespace: " + hereInMesh + ", labels: {app: orders}}, latency: 5s}", meshWay, "500ms"},
	}
)

// hereInMesh stands for the namespace of the stage.
const hereInMesh = "HERE"

type stageFault struct{ name, inject, with, way, every string }

const (
	ownWay      = "own"
	foreignWay  = "foreign"
	backendWay  = "backend"
	databaseWay = "database"
	meshWay     = "mesh"
)

// offer writes game days.
func (s *stage) offer(faults ...stageFault) {
	s.t.Helper()
	namespace := "none"
	if s.mesh != nil {
		namespace = s.mesh.namespace
	}
	for _, f := range faults {
		with := strings.ReplaceAll(f.with, hereInMesh, namespace)
		s.write("books/"+f.name+".gameday.yaml", fmt.Sprintf(stageDrill, f.name, f.every, f.inject, with, stageLasts, namespace))
	}
}
