package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
)

// manySteps begins a step every few milliseconds for as long as it is let.
func manySteps() string {
	var steps strings.Builder
	for i := range 300 {
		fmt.Fprintf(&steps, "  - {id: s%d, do: wait, with: {duration: 5ms}}\n", i)
	}
	return "\nrunbook: quick\nsummary: Take many small steps.\ntriggers: [{alert: Bench}]\nautonomy: auto\nsteps:\n" + steps.String() +
		"verify: {do: wait, with: {duration: 0s}, until: duration >= duration(\"0s\"), every: 1s, within: 1s}\n"
}

// BenchmarkHalt is the time from asking for a halt until a run that was taking
// steps stands still, and the time until a new run is held. The longest is what
// counts.
func BenchmarkHalt(b *testing.B) {
	x := newBenchOn(b, "guards: {storm: {runs: 0}}\n", func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "quick.yml"), []byte(manySteps()), 0o600)
	})
	var running, queued []time.Duration
	for b.Loop() {
		one := x.alerts(1)[0]
		x.post(one)
		x.awaitRun(one, func(r run.Run) bool { return len(r.Steps) > 0 && r.Steps[3].Status == run.Ended })
		began := time.Now()
		x.command("/api/v1/halt", `{"reason": "a test"}`)
		x.awaitRun(one, func(r run.Run) bool { return r.Halted != "" || r.Status == run.Ended })
		running = append(running, time.Since(began))
		two, began := x.alerts(1)[0], time.Now()
		x.post(two)
		x.awaitRun(two, func(r run.Run) bool { return r.Admission != nil })
		queued = append(queued, time.Since(began))
		x.command("/api/v1/resume", `{"reason": "a test"}`)
		for _, a := range []map[string]any{one, two} {
			x.command("/api/v1/runs/"+x.id(a)+"/cancel", `{"reason": "a test"}`)
		}
	}
	report(b, "running-", running)
	report(b, "queued-", queued)
}

func (x *bench) command(path, body string) {
	x.b.Helper()
	response, err := http.Post(x.url+path, "application/json", strings.NewReader(body))
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		x.b.Fatalf("%s: %v, %v", path, response, err)
	}
	response.Body.Close()
}

func (x *bench) awaitRun(a map[string]any, reached func(run.Run) bool) {
	x.b.Helper()
	path := "/api/v1/runs/" + x.id(a)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var r run.Run
		x.get(path, &r)
		if reached(r) {
			return
		}
		if time.Now().After(deadline) {
			x.b.Fatalf("never: %s %s", r.Status, r.Phase)
		}
	}
}
