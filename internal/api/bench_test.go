package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2/sse"
	"github.com/prometheus/common/model"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/wait"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// One Temporal serves all tests; each has a worker, a task queue and an HTTP
// server of its own.
var temporal *temporalserver.Server

func TestMain(m *testing.M) { os.Exit(temporaltest.Main(m, temporaltest.Keep(&temporal))) }

// meter is a system with one action, which counts what was done to it.
type meter struct{ value atomic.Int64 }

type addParams struct {
	By int `json:"by" min:"1" max:"100" default:"1" doc:"How much."`
}

type addResult struct {
	Value int `json:"value" doc:"What it is now."`
}

func (m *meter) system() actions.System {
	return actions.System{Actions: []actions.Action{
		actions.Define(actions.Def[addParams, addResult]{
			Name: "meter.add", Doc: "Turn the meter up.", Risk: actions.Disruptive, Example: "{by: 2}",
			Target: func(addParams) string { return "meter/hall" },
			Run: func(_ context.Context, _ actions.Key, _ actions.Target, p addParams) (addResult, error) {
				return addResult{int(m.value.Add(int64(p.By)))}, nil
			},
		}),
		actions.Define(actions.Def[actions.Nothing, addResult]{
			Name: "meter.read", Doc: "Read the meter.", Risk: actions.ReadOnly, Example: "{}",
			Target: func(actions.Nothing) string { return "meter/hall" },
			Run: func(context.Context, actions.Key, actions.Target, actions.Nothing) (addResult, error) {
				return addResult{int(m.value.Load())}, nil
			},
		}),
	}}
}

const documents = `
runbook: turn-up
summary: Turn the meter up.
params:
  by: {type: integer, default: 2, min: 1, max: 10, doc: "How much."}
  room: {type: string, default: hall}
when: params.room != ""
steps:
  - id: read
    do: meter.read
  - id: add
    do: meter.add
    with: {by: "${params.by}"}
verify: {do: meter.read, until: value >= 2, every: 100ms, within: 5s}
---
runbook: slow
summary: Wait for a long time, then turn the meter up.
otherwise: [escalate]
escalate: {summary: "It is slow."}
steps:
  - id: sleep
    do: wait
    with: {duration: 1h}
  - id: add
    do: meter.add
---
runbook: guarded
summary: Leave it alone for a while.
guards: {cooldown: 10m}
steps:
  - id: add
    do: meter.add
---
runbook: picky
summary: Need two parameters.
params:
  size: {type: integer}
  pause: {type: duration}
when: params.size > 0 and params.pause > duration("0s")
steps:
  - id: add
    do: meter.add
`

// each is what the engine asks of every runbook.
var each = runbooks.EngineGuards{Cooldown: model.Duration(time.Minute), MaxTargets: &runbooks.MaxTargets{Count: 7}, MaxErrors: 3}

type bench struct {
	t      *testing.T
	url    string
	meter  *meter
	audit  string
	record *audit.Log
	runs   *runs.Service
	set    atomic.Pointer[runbooks.Set]
	cat    *actions.Catalog
	halt   *halt.Switch
	limits ledger.Limits
	ledger *admission.Client
	open   func(time.Time) bool // the window freeze, in which runbooks may only propose
	client client.Client
	who    atomic.Pointer[identity.Identity]
}

var benches atomic.Int64

const actor = "ada"

// wide is the rate of all runbooks together.
var wide = ledger.Rate{N: 1, Per: model.Duration(2 * time.Hour)}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, meter: &meter{}, audit: filepath.Join(t.TempDir(), "audit.jsonl")}
	b.cat = actions.NewCatalog(wait.System(nil), b.meter.system())
	b.load(documents)
	b.record = b.log()
	queue := fmt.Sprintf("api-%d", benches.Add(1))
	hub := runs.NewHub()
	c := b.dial()
	b.runs = runs.New(c, hub, queue)
	b.work(c, queue, hub, b.record)
	b.client = c
	b.halt = halt.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	b.as(identity.Anything(actor))
	b.ledger = admission.New(c, queue, func() ledger.Limits { return b.limits })
	b.open = func(time.Time) bool { return false }
	if err := b.ledger.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.endLedger)
	days, problems := gameday.Load(nil, gameday.Options{})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	handler := api.New(api.Deps{
		Gamedays: api.Gamedays{
			Service: gamedays.New(b.client, queue), Schedules: gamedays.NewSchedules(b.client, queue, gamedays.SchedulesOptions{Set: func() *gameday.Set { return days }}), Set: func() *gameday.Set { return days }, Faults: chaos.NewCatalog(),
			Load: func(s diag.Sources) (*gameday.Set, diag.List) {
				return gameday.Load(s, gameday.Options{Actions: b.cat, Faults: chaos.NewCatalog()})
			},
		},
		Runs: b.runs, Set: b.set.Load, Catalog: b.cat, Version: "1.2.3", Audit: b.record,
		Halt: b.halt, Ledger: b.ledger, Windows: b.windows, Environment: runbooks.Environment{Max: runbooks.Auto},
		Guards: ledger.Limits{MaxRuns: 1, Rate: []ledger.Rate{wide}}, Each: each, Log: slog.New(slog.DiscardHandler), KeepAlive: sse.WriteTimeout + 500*time.Millisecond,
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(identity.NewContext(r.Context(), *b.who.Load())))
	}))
	t.Cleanup(server.Close)
	b.url = server.URL + api.Prefix
	return b
}

func (b *bench) windows(at time.Time) []runbooks.Window {
	return []runbooks.Window{{Name: "freeze", Open: b.open(at), Autonomy: runbooks.Propose}}
}

// endLedger leaves none to the next test: a namespace has one.
func (b *bench) endLedger() {
	options := temporal.ClientOptions()
	options.Logger = log.NewStructuredLogger(slog.New(slog.DiscardHandler))
	c, err := client.Dial(options)
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	var none *serviceerror.NotFound
	if err := c.TerminateWorkflow(context.Background(), workflows.LedgerID, "", "the test is over"); err != nil && !errors.As(err, &none) {
		b.t.Error(err)
	}
}

// as says who asks from now on.
func (b *bench) as(who identity.Identity) { b.who.Store(&who) }

// fresh is a request id that no other test uses.
func (b *bench) fresh(name string) string { return fmt.Sprintf("%s-%d", name, benches.Add(1)) }

func (b *bench) load(text string) {
	b.t.Helper()
	set, problems := runbooks.Load(diag.Sources{"bench.yaml": []byte(text)}, runbooks.Options{Catalog: b.cat})
	if err := problems.Err(); err != nil {
		b.t.Fatal(err)
	}
	b.set.Store(set)
}

func (b *bench) log() *audit.Log {
	b.t.Helper()
	l, err := audit.Open(b.audit)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { l.Close() })
	return l
}

func (b *bench) dial() client.Client {
	b.t.Helper()
	c := temporaltest.Dial(b.t, temporal)
	return c
}

func (b *bench) work(c client.Client, queue string, hub *runs.Hub, l *audit.Log) {
	b.t.Helper()
	w := worker.New(c, queue, workflows.WorkerOptions(context.Background()))
	workflows.Register(w, &workflows.Activities{
		Catalog: b.cat, Evaluator: runbooks.NewEvaluator(b.cat), Audit: l, Changed: hub.Changed,
	})
	workflows.RegisterLedger(w)
	workflows.RegisterPages(w, &workflows.Pages{Audit: l})
	if err := w.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(w.Stop)
}

// send makes a request and decodes its answer.
func (b *bench) send(method, path string, body, into any) *http.Response {
	b.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.sendRaw(method, path, text, into)
}

func (b *bench) sendRaw(method, path string, body []byte, into any) *http.Response {
	b.t.Helper()
	request, err := http.NewRequest(method, b.url+path, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		b.t.Fatalf("%s %s: %s: %v\n%s", method, path, answer.Status, err, text)
	}
	return answer
}

// refused makes a request that must fail with a code.
func (b *bench) refused(method, path string, body any, status int, code string) api.Problem {
	b.t.Helper()
	var p api.Problem
	answer := b.send(method, path, body, &p)
	if answer.StatusCode != status || api.CodeOf(&p) != code {
		b.t.Fatalf("%s %s: got %s %q (%s), want %d %s", method, path, answer.Status, api.CodeOf(&p), p.Detail, status, code)
	}
	if got := answer.Header.Get("Content-Type"); got != "application/problem+json" {
		b.t.Errorf("%s %s: content type %q", method, path, got)
	}
	return p
}

func (b *bench) start(s api.Start) api.Started {
	b.t.Helper()
	var started api.Started
	if answer := b.send(http.MethodPost, "/runs", s, &started); answer.StatusCode >= 300 {
		b.t.Fatalf("start %+v: %s", s, answer.Status)
	}
	return started
}

// await polls a run until it is as wanted.
func (b *bench) await(id string, wanted func(run.Run) bool) run.Run {
	b.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var r run.Run
		b.send(http.MethodGet, "/runs/"+id, nil, &r)
		if wanted(r) {
			return r
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("run %s is not as wanted: %+v", id, r)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func ended(r run.Run) bool { return r.Status == run.Ended }

// lines are the audit entries of a kind.
func (b *bench) lines(kind audit.Kind) []audit.Entry {
	b.t.Helper()
	text, err := os.ReadFile(b.audit)
	if err != nil {
		b.t.Fatal(err)
	}
	var found []audit.Entry
	for line := range strings.Lines(string(text)) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.t.Fatal(err)
		}
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}
