package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/engine"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/temporalserver"
)

// quick is a runbook like any other, but for what it does: condition, step and
// verification are there, and take no time of their own.
const quick = `
runbook: quick
summary: Do nothing, as every runbook does something.
triggers: [{alert: Bench, matchers: ['severity="critical"']}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
steps: [{id: act, if: 'alert.labels.severity == "critical"', do: wait, with: {duration: 0s}}]
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s"), every: 1s, within: 1s}
`

// bench is an engine in this process.
type bench struct {
	b      *testing.B
	url    string
	serial int
}

func newBench(b *testing.B) *bench {
	b.Helper()
	return newBenchOn(b, "guards: {storm: {runs: 0}}\n")
}

// newBenchOn is an engine with more in its config; prepare may change its folder.
func newBenchOn(b *testing.B, config string, prepare ...func(dir string) error) *bench {
	b.Helper()
	dir := b.TempDir()
	for name, text := range map[string]string{"runbook.yaml": "listen: 127.0.0.1:0\nrunbooks: [quick.yml]\nwebhook: {wait: 1m}\n" + config, "quick.yml": quick} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for _, one := range prepare {
		if err := one(dir); err != nil {
			b.Fatal(err)
		}
	}
	c, _, problems := engine.LoadConfig(filepath.Join(dir, "runbook.yaml"))
	if err := problems.Err(); err != nil {
		b.Fatal(err)
	}
	engine.TuneMemory()
	e, err := engine.New(b.Context(), c, engine.Options{Log: slog.New(slog.NewJSONHandler(io.Discard, nil))})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
		e.Close()
	})
	return &bench{b: b, url: e.URL()}
}

// alerts are n that were not there before.
func (x *bench) alerts(n int) []map[string]any {
	var all []map[string]any
	for range n {
		x.serial++
		all = append(all, map[string]any{
			"status": "firing", "startsAt": time.Now(), "fingerprint": fmt.Sprintf("%016x", x.serial),
			"labels":      map[string]string{"alertname": "Bench", "severity": "critical", "serial": fmt.Sprint(x.serial), "env": "prod", "team": "payments"},
			"annotations": map[string]string{"summary": "Something is slow", "description": "Requests wait for longer than they should."},
		})
	}
	return all
}

func (x *bench) post(alerts ...map[string]any) (took time.Duration, status int) {
	body, err := json.Marshal(map[string]any{"version": "4", "receiver": "runbook", "alerts": alerts})
	if err != nil {
		x.b.Error(err)
		return 0, 0
	}
	began := time.Now()
	response, err := http.Post(x.url+"/webhook/alertmanager", "application/json", bytes.NewReader(body))
	if err != nil {
		x.b.Error(err)
		return 0, 0
	}
	response.Body.Close()
	return time.Since(began), response.StatusCode
}

func (x *bench) get(path string, into any) {
	x.b.Helper()
	status, text, err := fetch(x.b.Context(), x.url+path)
	if err != nil || status != http.StatusOK {
		x.b.Fatalf("%s: %d %s, %v", path, status, text, err)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		x.b.Fatal(err)
	}
}

// id is that of the run of an alert.
func (x *bench) id(a map[string]any) string {
	startsAt := a["startsAt"].(time.Time).Truncate(time.Millisecond)
	return fmt.Sprintf("quick.%s-%s", a["fingerprint"], strconv.FormatInt(startsAt.UnixNano(), 36))
}

// awaitEnd waits until the run of an alert has ended.
func (x *bench) awaitEnd(a map[string]any) {
	x.b.Helper()
	for {
		var r run.Run
		x.get("/api/v1/runs/"+x.id(a), &r)
		if r.Status == run.Ended {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// BenchmarkWebhookToFirstAction is the time from the first byte of a
// notification to the request that the first action makes, as the service that is
// asked sees it, beside the floor measured in the same process: from asking for a
// bare workflow, on a server of the same settings, to the call of its one local
// activity. The first action of most runbooks looks; that of some acts at once,
// which takes an activity of its own and a lease. Either is measured on an engine
// at rest, as an alert finds it, and right after the run before, whose records
// are still being written.
func BenchmarkWebhookToFirstAction(b *testing.B) {
	for name, action := range map[string]string{"looks": "http.get, with: {url: %q}", "acts": "http.request, with: {url: %q, method: POST}"} {
		b.Run(name+"/at_rest", func(b *testing.B) { benchmarkFirstAction(b, action, 50*time.Millisecond) })
		b.Run(name+"/back_to_back", func(b *testing.B) { benchmarkFirstAction(b, action, 0) })
	}
}

func benchmarkFirstAction(b *testing.B, action string, lull time.Duration) {
	called := make(chan time.Time, 1)
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- time.Now() }))
	b.Cleanup(service.Close)
	x := newBenchOn(b, "guards: {storm: {runs: 0}}\n", func(dir string) error {
		first := fmt.Sprintf("steps: [{id: first, do: "+action+"}, ", service.URL)
		return os.WriteFile(filepath.Join(dir, "quick.yml"), []byte(strings.Replace(quick, "steps: [", first, 1)), 0o600)
	})
	bare := newFloor(b)
	for range 20 {
		bare()
		x.firstAction(called)
	}
	var took, floor []time.Duration
	for b.Loop() {
		time.Sleep(lull)
		floor = append(floor, bare())
		time.Sleep(lull)
		took = append(took, x.firstAction(called))
	}
	report(b, "", took)
	report(b, "floor-", floor)
	b.ReportMetric(quantile(took, 0.5).Seconds()/quantile(floor, 0.5).Seconds(), "ratio-p50")
}

func (x *bench) firstAction(called <-chan time.Time) time.Duration {
	x.b.Helper()
	one := x.alerts(1)[0]
	began := time.Now()
	if _, status := x.post(one); status != http.StatusOK {
		x.b.Fatalf("answered %d", status)
	}
	took := (<-called).Sub(began)
	x.awaitEnd(one)
	return took
}

func newFloor(b *testing.B) func() time.Duration {
	b.Helper()
	c := bareClient(b)
	called := make(chan time.Time, 1)
	startBare(b, c, func(context.Context) error {
		called <- time.Now()
		return nil
	})
	return func() time.Duration {
		began := time.Now()
		executeBare(b, c)
		return (<-called).Sub(began)
	}
}

func bareClient(b *testing.B) client.Client {
	b.Helper()
	s, err := temporalserver.Start(b.Context(), temporalserver.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	options := s.ClientOptions()
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	c, err := client.Dial(options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func startBare(b *testing.B, c client.Client, activity func(context.Context) error) {
	b.Helper()
	w := worker.New(c, "bare", worker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute})
		return workflow.ExecuteLocalActivity(ctx, activity).Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "bare"})
	if err := w.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
}

func executeBare(b *testing.B, c client.Client) {
	if _, err := c.ExecuteWorkflow(b.Context(), client.StartWorkflowOptions{TaskQueue: "bare", EnableEagerStart: true}, "bare"); err != nil {
		b.Error(err)
	}
}

const burst = 1000

// BenchmarkBurst is a thousand alerts at once, each in a notification of its own
// as with group_by: ['...'], or all in one. Beside it the floor: as many bare
// workflows on a server of the same settings.
func BenchmarkBurst(b *testing.B) {
	b.Run("one_notification_an_alert", func(b *testing.B) { benchmarkBurst(b, 1) })
	b.Run("one_notification", func(b *testing.B) { benchmarkBurst(b, burst) })
}

func benchmarkBurst(b *testing.B, size int) {
	x, floor := newBench(b), floorOfRuns(b)
	var acks []time.Duration
	var acked, ended time.Duration
	n := 0
	for b.Loop() {
		all := slices.Collect(slices.Chunk(x.alerts(burst), size))
		n += burst
		began := time.Now()
		acks = append(acks, x.postAll(all)...)
		acked += time.Since(began)
		x.awaitRuns(n)
		ended += time.Since(began)
	}
	b.ReportMetric(float64(n)/acked.Seconds(), "alerts-acked/s")
	b.ReportMetric(float64(n)/ended.Seconds(), "runs/s")
	b.ReportMetric(floor, "floor-runs/s")
	b.ReportMetric(float64(n)/ended.Seconds()/floor, "ratio")
	report(b, "ack-", acks)
}

// senders is how many notifications are under way at a time.
const senders = 100

func (x *bench) postAll(messages [][]map[string]any) []time.Duration {
	var mu sync.Mutex
	var acks []time.Duration
	var all sync.WaitGroup
	slots := make(chan struct{}, senders)
	for _, m := range messages {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			took, status := x.post(m...)
			if status != http.StatusOK {
				x.b.Errorf("answered %d", status)
			}
			mu.Lock()
			defer mu.Unlock()
			acks = append(acks, took)
		})
	}
	all.Wait()
	return acks
}

// awaitRuns waits until n runs have ended: nothing is lost.
func (x *bench) awaitRuns(n int) {
	x.b.Helper()
	var rows []runs.Row
	deadline := time.Now().Add(2 * time.Minute)
	for {
		x.get("/api/v1/runs?running=true&limit=1", &rows)
		if len(rows) == 0 && x.concluded() == n {
			return
		}
		if time.Now().After(deadline) {
			x.b.Fatalf("%d of %d runs have ended", x.concluded(), n)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (x *bench) concluded() (n int) {
	_, text, err := fetch(x.b.Context(), x.url+"/metrics")
	if err != nil {
		x.b.Fatal(err)
	}
	return int(sample(text, `runbook_runs_concluded_total{outcome="fixed",runbook="quick"}`))
}

// floorOfRuns is how many bare workflows a second a server of the same settings
// ends.
func floorOfRuns(b *testing.B) float64 {
	b.Helper()
	c := bareClient(b)
	var done sync.WaitGroup
	startBare(b, c, func(context.Context) error {
		done.Done()
		return nil
	})
	done.Add(burst)
	slots := make(chan struct{}, senders)
	began := time.Now()
	for range burst {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			executeBare(b, c)
		}()
	}
	done.Wait()
	return burst / time.Since(began).Seconds()
}

// BenchmarkIdle is the memory of an engine that has nothing to do.
func BenchmarkIdle(b *testing.B) {
	h := newHost(b, "", quick).start()
	for b.Loop() {
		time.Sleep(5 * time.Second)
	}
	_, text, err := fetch(b.Context(), h.url("/metrics"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(sample(text, "process_resident_memory_bytes")/1e6, "resident-MB")
	b.ReportMetric(sample(text, "go_memstats_heap_inuse_bytes")/1e6, "heap-MB")
	b.ReportMetric(sample(text, "go_goroutines"), "goroutines")
}

func sample(metrics, name string) (value float64) {
	for line := range bytes.Lines([]byte(metrics)) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+" ")); ok {
			fmt.Sscan(string(rest), &value)
		}
	}
	return value
}

func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(q*float64(len(sorted)-1))]
}

func report(b *testing.B, prefix string, all []time.Duration) {
	for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		b.ReportMetric(float64(quantile(all, q).Microseconds())/1000, prefix+name+"-ms")
	}
}
