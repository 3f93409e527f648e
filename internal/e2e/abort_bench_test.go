package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/workflows/drills"
)

const abortDrill = `
gameday: %s
summary: The way to the backend is disturbed.
scope: ['env="prod"']
steady: [{id: checkout, do: http.get, with: {connection: shop, url: /checkout, timeout: 400ms}, expect: status == 200, no_answer: bad, every: 500ms, abort_after: %s}]
faults: [{id: way, inject: toxiproxy.black_hole, with: {proxy: own}, for: 5m}]
expect: {alert: {matchers: ['alertname="Never"'], within: 4m}}
`

// abortStages is how many drills go on at a time, each with an engine of its own:
// a drill begins in systems without any other fault.
const abortStages = 4

// BenchmarkAbort is the time from the reason to stop a drill until its healing is
// issued: a person stops it, a real alert comes by the webhook, or a probe was not
// good for too long, which is counted from the moment it was.
func BenchmarkAbort(b *testing.B) {
	free := make(chan *stage, abortStages)
	for range abortStages {
		s := newStage(b, "", "")
		s.write("books/stopped.gameday.yaml", fmt.Sprintf(abortDrill, "stopped", "4m"))
		s.write("books/breached.gameday.yaml", fmt.Sprintf(abortDrill, "breached", "2s"))
		s.start()
		free <- s
	}
	b.Run("person", func(b *testing.B) { benchmarkAbort(b, free, "stopped", (*stage).stopByHand) })
	b.Run("alert", func(b *testing.B) { benchmarkAbort(b, free, "stopped", (*stage).raiseReal) })
	b.Run("probe", func(b *testing.B) { benchmarkAbort(b, free, "breached", nil) })
}

func benchmarkAbort(b *testing.B, free chan *stage, drill string, stop func(s *stage, id string) time.Time) {
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(abortStages)
	b.RunParallel(func(more *testing.PB) {
		for more.Next() {
			s := <-free
			d, reason := s.abortOne(drill, stop)
			free <- s
			mu.Lock()
			took = append(took, d.Evidence.Injections[0].HealIssued.Sub(reason))
			mu.Unlock()
		}
	})
	slices.Sort(took)
	report(b, "", took)
}

func (s *stage) abortOne(drill string, stop func(s *stage, id string) time.Time) (d drills.Drill, reason time.Time) {
	s.t.Helper()
	s.shop.use(s.own, "", 0)
	o := watchWay(s.own, false)
	defer o.stop()
	var started api.Started
	if err := s.post("/api/v1/drills", api.Drill{Gameday: drill}, &started); err != nil {
		s.t.Fatal(err)
	}
	if stop == nil {
		d = s.ending(started.ID)
		return d, breach(d)
	}
	if !s.until(time.Now().Add(time.Minute), o.ill) {
		s.t.Fatal("there is no fault")
	}
	time.Sleep(rand.N(time.Second)) // at any moment between two looks
	reason = stop(s, started.ID)
	return s.ending(started.ID), reason
}

// breach is when the probe had been bad for as long as it may be.
func breach(d drills.Drill) time.Time {
	for _, sample := range d.Evidence.Probes[0].Samples {
		if sample.State == gameday.Bad && sample.At.After(d.Evidence.Injections[0].Requested) {
			return sample.At.Add(time.Duration(d.Plan.Steady[0].AbortAfter))
		}
	}
	return time.Time{}
}

func (s *stage) stopByHand(id string) time.Time {
	s.t.Helper()
	now := time.Now()
	if err := s.post("/api/v1/drills/"+id+"/abort", api.Ask{Reason: "a test"}, &struct{}{}); err != nil {
		s.t.Fatal(err)
	}
	return now
}

// raiseReal delivers an alert as Alertmanager does.
func (s *stage) raiseReal(id string) time.Time {
	s.t.Helper()
	labels := map[string]string{"alertname": "Real", "env": "prod", "drill": id}
	now := time.Now()
	body, err := json.Marshal(map[string]any{"version": "4", "status": "firing", "receiver": "runbook", "alerts": []any{
		map[string]any{"status": "firing", "labels": labels, "startsAt": now, "fingerprint": fmt.Sprintf("%016x", now.UnixNano())},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	answer, err := http.Post(s.webhook(), "application/json", bytes.NewReader(body))
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatal(answer, err)
	}
	answer.Body.Close()
	return now
}
