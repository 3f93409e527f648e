package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
)

// plant is a system that runs change: it counts who is at it.
type plant struct {
	*httptest.Server
	mu            sync.Mutex
	busy, busiest int
	changes       int
	gate          chan struct{} // what changes wait for
}

func newPlant(t *testing.T) *plant {
	p := &plant{gate: make(chan struct{})}
	close(p.gate)
	p.Server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		p.count(1)
		<-p.gate
		p.count(-1)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *plant) count(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy += n
	p.busiest = max(p.busiest, p.busy)
	if n > 0 {
		p.changes++
	}
}

func (p *plant) seen() (changes, busiest int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changes, p.busiest
}

// guardedBy is a runbook that changes the plant.
func (p *plant) guardedBy(name, guards string) string {
	return fmt.Sprintf(`
runbook: %s
summary: Change the plant.
triggers: [{alert: %s}]
autonomy: auto
guards: %s
steps: [{id: change, do: http.request, with: {method: POST, url: '%s/'}}]
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s"), every: 1s, within: 1s}
`, name, name, guards, p.URL)
}

type world struct {
	t      *testing.T
	e      *Engine
	serial int
}

// fires posts one alert and gives the id of its run.
func (w *world) fires(name string) string {
	w.t.Helper()
	w.serial++
	startsAt := time.Now().UTC().Truncate(time.Millisecond)
	fingerprint := fmt.Sprintf("%016x", w.serial)
	body := fmt.Sprintf(`{"version": "4", "receiver": "r", "alerts": [{"status": "firing", "labels": {"alertname": %q, "serial": "%d"}, "startsAt": %q, "fingerprint": %q}]}`,
		name, w.serial, startsAt.Format(time.RFC3339Nano), fingerprint)
	if status, text := do(w.t, http.MethodPost, w.e.URL()+WebhookPath, body); status != http.StatusOK {
		w.t.Fatalf("answered %d: %s", status, text)
	}
	return name + "." + fingerprint + "-" + strconv.FormatInt(startsAt.UnixNano(), 36)
}

func (w *world) run(id string) (r run.Run) {
	w.t.Helper()
	status, text := get(w.t, w.e.URL()+"/api/v1/runs/"+id)
	if status != http.StatusOK {
		w.t.Fatalf("run %s: %d %s", id, status, text)
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) until(id, what string, reached func(run.Run) bool) run.Run {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r := w.run(id)
		if reached(r) {
			return r
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("run %s: not %s: %+v", id, what, r)
		}
	}
}

func (w *world) ended(id string) run.Run {
	w.t.Helper()
	return w.until(id, "ended", func(r run.Run) bool { return r.Status == run.Ended })
}

func newWorld(t *testing.T, config string, documents ...string) *world {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "books/all.yaml", strings.Join(documents, "---"))
	return &world{t: t, e: serve(t, dir, "runbooks: [books]\n"+config)}
}

func TestOneRunAtATimeOnAResource(t *testing.T) {
	p := newPlant(t)
	p.gate = make(chan struct{})
	open := sync.OnceFunc(func() { close(p.gate) })
	t.Cleanup(open)
	w := newWorld(t, "", p.guardedBy("one", "{resource: plant/a}"), p.guardedBy("other", "{resource: plant/a}"), p.guardedBy("timid", "{resource: plant/a, on_conflict: drop}"))
	first := w.fires("one")
	w.until(first, "admitted", func(r run.Run) bool { return r.Admission != nil && r.Admission.Token > 0 })
	second, third := w.fires("other"), w.fires("timid")
	if r := w.ended(third); r.Outcome != run.Skipped || !strings.Contains(r.OutcomeReason, "refused by resource") || !strings.Contains(r.OutcomeReason, first) {
		t.Errorf("dropped: %s (%s)", r.Outcome, r.OutcomeReason)
	}
	w.until(second, "queued", func(r run.Run) bool { return r.Admission != nil && r.Admission.Guard == ledger.GuardResource })
	open()
	for _, id := range []string{first, second} {
		if r := w.ended(id); r.Outcome != run.Fixed {
			t.Errorf("%s: %s (%s)", id, r.Outcome, r.OutcomeReason)
		}
	}
	if r := w.run(second); r.Admission.Waited == "" || r.Admission.Token <= w.run(first).Admission.Token {
		t.Errorf("the second was admitted as %+v", r.Admission)
	}
	if changes, busiest := p.seen(); changes != 2 || busiest != 1 {
		t.Errorf("%d changes, %d at a time", changes, busiest)
	}
}

func TestCooldownAndRates(t *testing.T) {
	p := newPlant(t)
	w := newWorld(t, "guards: {rate: [5/h]}\n", p.guardedBy("cool", "{resource: plant/a, cooldown: 1h}"), p.guardedBy("rated", "{rate: [2/h, 9/d]}"), p.guardedBy("free", "{}"))
	refused := func(name, guard string) {
		t.Helper()
		r := w.ended(w.fires(name))
		if r.Outcome != run.Skipped || !strings.Contains(r.OutcomeReason, "refused by "+guard) || r.Admission.Guard != ledger.Guard(guard) {
			t.Errorf("%s: %s (%s), admission %+v", name, r.Outcome, r.OutcomeReason, r.Admission)
		}
	}
	acted := func(name string) {
		t.Helper()
		if r := w.ended(w.fires(name)); r.Outcome != run.Fixed {
			t.Errorf("%s: %s (%s)", name, r.Outcome, r.OutcomeReason)
		}
	}
	acted("cool")
	refused("cool", "cooldown")
	acted("rated")
	acted("rated")
	refused("rated", "rate")
	acted("free")
	acted("free")
	refused("free", "rate")
	_, text := get(t, w.e.URL()+"/metrics")
	for _, want := range []string{`runbook_guard_refusals_total{guard="cooldown"} 1`, `runbook_guard_refusals_total{guard="rate"} 2`} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if changes, _ := p.seen(); changes != 5 {
		t.Errorf("%d changes", changes)
	}
}

// What a guard refuses is never silent, at the start of a run or in a step: the
// run says why, the audit file has it, and the metrics count it by guard.
func TestARefusalIsSeen(t *testing.T) {
	p := newPlant(t)
	w := newWorld(t, "autonomy: {max: auto, rules: [{matchers: ['alertname=\"silent\"'], max: 'off'}]}\n",
		p.guardedBy("cool", "{cooldown: 1h}"), p.guardedBy("rare", "{rate_per_target: [1/h]}"),
		p.guardedBy("asks", "{approve: {at: disruptive, within: 1s, otherwise: skip}}"), p.guardedBy("silent", "{}"))
	acted := []string{w.fires("cool"), w.fires("rare")}
	for _, id := range acted {
		if r := w.ended(id); r.Outcome != run.Fixed {
			t.Fatalf("%s: %s (%s)", id, r.Outcome, r.OutcomeReason)
		}
	}
	for _, c := range []struct{ name, guard, reason string }{
		{"cool", "cooldown", "refused by cooldown"}, {"rare", "rate", "step change refused: "},
		{"asks", "approval", "nobody consented within 1s"}, {"silent", "autonomy", "the engine allows at most off"},
	} {
		r := w.ended(w.fires(c.name))
		if r.Outcome != run.Skipped || !strings.Contains(r.OutcomeReason, c.reason) {
			t.Errorf("%s: %s (%s), want skipped (…%s…)", c.name, r.Outcome, r.OutcomeReason, c.reason)
		}
		record := read(t, string(w.e.config.Audit.File))
		if want := fmt.Sprintf(`"run":%q`, r.ID); !lineWith(record, `"kind":"run_concluded"`, want, c.reason) {
			t.Errorf("%s: the audit file does not say why: %s", c.name, record)
		}
		if _, text := get(t, w.e.URL()+"/metrics"); !strings.Contains(text, fmt.Sprintf("runbook_guard_refusals_total{guard=%q} 1", c.guard)) {
			t.Errorf("%s: the metrics do not count %s", c.name, c.guard)
		}
	}
	if changes, _ := p.seen(); changes != len(acted) {
		t.Errorf("%d changes", changes)
	}
	record := read(t, string(w.e.config.Audit.File))
	for _, line := range [][]string{{`"decision":"refused by cooldown"`}, {`"step":"change"`, `"decision":"refused by rate"`}, {`"step":"change"`, `"decision":"refused by approval"`}} {
		if !lineWith(record, line...) {
			t.Errorf("the audit file does not name the guard in %s: %s", line, record)
		}
	}
}

// lineWith reports that a line has all parts.
func lineWith(text string, parts ...string) bool {
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
			return true
		}
	}
	return false
}

// What the config asks of each runbook holds for runs, and a plan shows it.
func TestWhatTheEngineAsksOfEachRunbook(t *testing.T) {
	p := newPlant(t)
	w := newWorld(t, "guards: {each: {cooldown: 1h}}\n", p.guardedBy("calm", "{resource: plant/a, cooldown: 1s}"))
	if r := w.ended(w.fires("calm")); r.Outcome != run.Fixed {
		t.Fatalf("%s (%s)", r.Outcome, r.OutcomeReason)
	}
	if r := w.ended(w.fires("calm")); !strings.Contains(r.OutcomeReason, "refused by cooldown") || !strings.Contains(r.OutcomeReason, "by the guards of the engine") {
		t.Errorf("%s (%s)", r.Outcome, r.OutcomeReason)
	}
	status, text := do(t, http.MethodPost, w.e.URL()+"/api/v1/plan", `{"runbook": "calm"}`)
	if status != http.StatusOK || !strings.Contains(text, `{"name":"cooldown","set":"1h","of":"engine","state":"refused"`) {
		t.Errorf("%d: %s", status, text)
	}
}

func TestAStormWaitsForAPerson(t *testing.T) {
	p := newPlant(t)
	o, people := newOffice(t)
	w := newWorld(t, people+"guards: {storm: {runs: 3, within: 1m}}\n", p.guardedBy("flood", "{}"))
	var all []string
	for range 8 {
		all = append(all, w.fires("flood"))
	}
	for _, id := range all[3:] {
		w.until(id, "held by the breaker", func(r run.Run) bool { return r.Admission != nil && r.Admission.Guard == ledger.GuardStorm })
	}
	for _, id := range all[:3] {
		w.ended(id)
	}
	if changes, _ := p.seen(); changes != 3 {
		t.Fatalf("%d changes with the breaker open", changes)
	}
	o.hears("RunbookStorm", "page: Runbook's storm breaker is open: alerts started 4 runs within 1m. No more runs start until a person resets it.")
	if a := o.alerts("RunbookStorm")[0].Annotations; a["process"] != "runbook storm reset --process" || a["skip"] != "runbook storm reset --skip" {
		t.Errorf("the page does not say how to reset it: %v", a)
	}
	if _, err := w.e.ledger.Apply(t.Context(), ledger.Op{Reset: &ledger.Reset{By: "ada"}}); err != nil {
		t.Fatal(err)
	}
	o.hears("RunbookStorm")
	for _, id := range all {
		if r := w.ended(id); r.Outcome != run.Fixed {
			t.Errorf("%s: %s (%s)", id, r.Outcome, r.OutcomeReason)
		}
	}
}

func TestAHaltHoldsARunBack(t *testing.T) {
	p := newPlant(t)
	w := newWorld(t, "", p.guardedBy("any", "{}"))
	if _, err := w.e.halt.Halt("ada", "a test", time.Time{}); err != nil {
		t.Fatal(err)
	}
	id := w.fires("any")
	w.until(id, "halted", func(r run.Run) bool { return r.Admission != nil && r.Admission.Guard == ledger.GuardHalt })
	if err := w.e.halt.Resume("ada", ""); err != nil {
		t.Fatal(err)
	}
	if r := w.ended(id); r.Outcome != run.Fixed {
		t.Errorf("%s (%s)", r.Outcome, r.OutcomeReason)
	}
}

// A run that no longer has its lease begins nothing more.
func TestAnEffectNeedsTheLease(t *testing.T) {
	p := newPlant(t)
	doc := strings.Replace(p.guardedBy("two", "{resource: plant/a}"), "steps: [", fmt.Sprintf(
		"steps: [{id: first, do: http.request, with: {method: POST, url: '%s/'}}, {id: pause, do: wait, with: {duration: 2s}}, ", p.URL), 1)
	w := newWorld(t, "", doc)
	id := w.fires("two")
	w.until(id, "pausing", func(r run.Run) bool { return len(r.Steps) == 3 && r.Steps[1].Status == run.Running })
	if _, err := w.e.ledger.Apply(t.Context(), ledger.Op{Release: &ledger.Release{Run: id}}); err != nil {
		t.Fatal(err)
	}
	r := w.ended(id)
	if last := r.Steps[2]; last.Outcome != run.Failed || !strings.Contains(last.Reason, "prove the lease") {
		t.Errorf("the last step: %s (%s)", last.Outcome, last.Reason)
	}
	if changes, _ := p.seen(); changes != 1 {
		t.Errorf("%d changes", changes)
	}
}
