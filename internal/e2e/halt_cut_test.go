package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/run"
)

// touched is a system that notes when it was changed.
type touched struct {
	*httptest.Server
	mu sync.Mutex
	at []time.Time
}

func newTouched(t testing.TB) *touched {
	s := &touched{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at = append(s.at, time.Now())
	}))
	t.Cleanup(s.Close)
	return s
}

// since is how long after a moment it was last changed; 0 where it was not.
func (s *touched) since(began time.Time) (last time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.at {
		last = max(last, at.Sub(began))
	}
	return last
}

// manyChanges changes the system every few milliseconds for as long as it is let.
func manyChanges(system *touched) string {
	step := func(i int) string {
		return fmt.Sprintf("  - {id: s%d, do: http.request, with: {url: '%s/%d'}}\n", i, system.URL, i)
	}
	var steps strings.Builder
	for i := range 300 {
		steps.WriteString(step(i))
	}
	return "\nrunbook: quick\nsummary: Change much.\ntriggers: [{alert: Bench}]\nautonomy: auto\nsteps:\n" + steps.String() +
		"verify: {do: wait, with: {duration: 0s}, until: duration >= duration(\"0s\"), every: 1s, within: 1s}\n"
}

// BenchmarkHaltWithoutTemporal asks for a halt a moment after Temporal was cut
// off from a run that changes things all the time. Asked is the time until the
// engine says that it is halted, last that until the last change began; then
// Temporal is back, and neither that run nor a new one may begin anything.
func BenchmarkHaltWithoutTemporal(b *testing.B) {
	w, temporal := startCluster(b)
	system := newTouched(b)
	x := newBenchOn(b, "guards: {storm: {runs: 0}}\n"+temporal, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, "quick.yml"), []byte(manyChanges(system)), 0o600)
	})
	var asked, last []time.Duration
	for b.Loop() {
		one := x.alerts(1)[0]
		x.post(one)
		x.awaitRun(one, func(r run.Run) bool { return len(r.Steps) > 3 && r.Steps[3].Status == run.Ended })
		w.cut()
		began := time.Now()
		asked = append(asked, x.halts(began))
		w.mend()
		x.untilReady()
		two := x.alerts(1)[0]
		x.post(two)
		x.awaitRun(one, func(r run.Run) bool { return r.Halted != "" })
		x.awaitRun(two, func(r run.Run) bool { return r.Admission != nil })
		last = append(last, system.since(began))
		x.command("/api/v1/resume", `{"reason": "a test"}`)
		for _, a := range []map[string]any{one, two} {
			x.command("/api/v1/runs/"+x.id(a)+"/cancel", `{"reason": "a test"}`)
			x.awaitEnd(a)
		}
	}
	report(b, "asked-", asked)
	report(b, "last-", last)
}

// halts asks for a halt and gives how long it took until the engine was halted.
func (x *bench) halts(began time.Time) time.Duration {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		x.command("/api/v1/halt", `{"reason": "a test"}`)
	}()
	defer func() { <-answered }()
	for {
		// Each answer says so, and this one needs nothing else.
		response, err := http.Get(x.url + "/api/v1/nothing")
		if err != nil {
			x.b.Fatal(err)
		}
		response.Body.Close()
		if api.HaltOf(response.Header) != nil {
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
}

func (x *bench) untilReady() {
	x.b.Helper()
	eventually(x.b, 30*time.Second, "Temporal to be back", func() error {
		status, text, err := fetch(x.b.Context(), x.url+"/-/ready")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, text)
		}
		return err
	})
}
