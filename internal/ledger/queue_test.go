package ledger_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

func TestTheQueueGoesBySeverityThenInTurn(t *testing.T) {
	d := newDesk(t)
	d.limits.MaxRuns = 1
	d.admitted(ledger.Admit{Run: "first.0"})
	ask := func(run, alert, severity string, position int) {
		t.Helper()
		answer := d.admit(ledger.Admit{Run: run, Alert: alert, Severity: severity})
		d.is(answer, ledger.Queued, ledger.GuardConcurrency)
		if answer.Position != position {
			t.Errorf("%s: position %d, want %d", run, answer.Position, position)
		}
	}
	ask("a.1", "A", "warning", 1)
	ask("a.2", "A", "warning", 2)
	ask("a.3", "A", "warning", 3)
	ask("b.1", "B", "warning", 2)
	ask("b.2", "B", "warning", 4)
	ask("i.1", "I", "info", 6)
	ask("c.1", "C", "critical", 1)
	ask("h.1", "H", "error", 2)
	ask("p.1", "P", "page", 2)
	ask("a.3", "A", "warning", 8)
	last := "first.0"
	for _, want := range []string{"c.1", "p.1", "h.1", "a.1", "b.1", "a.2", "b.2", "a.3", "i.1"} {
		d.release(last, true)
		d.expectTurns(want)
		last = want
	}
}

func TestANameWhoseRunsMustWaitKeepsItsTurn(t *testing.T) {
	d := newDesk(t)
	d.limits.MaxRuns = 2
	d.admitted(ledger.Admit{Run: "hold.1", Resource: "db"})
	d.admitted(ledger.Admit{Run: "hold.2"})
	d.admit(ledger.Admit{Run: "a.1", Alert: "A", Resource: "db"})
	d.admit(ledger.Admit{Run: "b.1", Alert: "B"})
	d.admit(ledger.Admit{Run: "b.2", Alert: "B"})
	d.release("hold.2", true)
	d.expectTurns("b.1")
	d.release("hold.1", true)
	d.expectTurns("a.1")
}

func TestAFullQueueTakesNoMemory(t *testing.T) {
	d := newDesk(t)
	d.limits.MaxRuns, d.limits.Queue.Max = 1, 100
	d.admitted(ledger.Admit{Run: "first.0"})
	for n := range 100 {
		d.is(d.admit(ledger.Admit{Run: fmt.Sprintf("a.%d", n)}), ledger.Queued, ledger.GuardConcurrency)
	}
	if !d.l.Brief().Full {
		t.Fatal("the queue does not say that it is full")
	}
	before, _ := json.Marshal(d.l)
	for n := range 1000 {
		answer := d.admit(ledger.Admit{Run: fmt.Sprintf("b.%d", n)})
		d.is(answer, ledger.Queued, ledger.GuardQueue)
		if answer.Position != 0 || answer.Again.Sub(d.now) != 30*time.Second {
			t.Fatalf("%+v", answer)
		}
	}
	if after, _ := json.Marshal(d.l); len(after) > len(before) {
		t.Errorf("it grew from %d to %d bytes", len(before), len(after))
	}
	d.release("first.0", true)
	if !d.l.Brief().Full {
		t.Error("one free place makes it say that it is not full")
	}
	for n := range 10 {
		d.release(fmt.Sprintf("a.%d", n), true)
	}
	if d.l.Brief().Full {
		t.Error("it says that it is full, and is not")
	}
}

func TestAWaitEnds(t *testing.T) {
	d := newDesk(t)
	d.limits.MaxRuns, d.limits.Queue.MaxWait = 1, model.Duration(time.Minute)
	token := d.admitted(ledger.Admit{Run: "first.0"})
	d.admit(ledger.Admit{Run: "a.1"})
	d.wait(30 * time.Second)
	d.confirm("first.0", token)
	d.admit(ledger.Admit{Run: "a.2"})
	d.wait(30 * time.Second)
	if len(d.told) != 1 || d.told[0].Run != "a.1" {
		t.Fatalf("told %+v", d.told)
	}
	d.is(*d.told[0].Answer, ledger.Refused, ledger.GuardQueue)
	d.is(d.admit(ledger.Admit{Run: "a.1"}), ledger.Refused, ledger.GuardQueue)
}

// Of a storm people know already: whoever refused by the queue tells them anew
// must not do so for each of its runs.
func TestAWaitThatEndsInAStormIsTheStorms(t *testing.T) {
	d := newDesk(t)
	d.limits.Storm, d.limits.Queue.MaxWait = ledger.Storm{Runs: 1, Within: model.Duration(time.Minute)}, model.Duration(time.Hour)
	d.admit(ledger.Admit{Run: "a.1", Source: "alert"})
	d.is(d.admit(ledger.Admit{Run: "a.2", Source: "alert"}), ledger.Queued, ledger.GuardStorm)
	d.wait(time.Hour)
	if len(d.told) != 1 || d.told[0].Run != "a.2" || !strings.Contains(d.told[0].Answer.Reason, "waited for 1h0m0s; the storm breaker is open") {
		t.Fatalf("told %+v", d.told)
	}
	d.is(*d.told[0].Answer, ledger.Refused, ledger.GuardStorm)
}

func TestARunThatIsGoneLeavesTheQueue(t *testing.T) {
	d := newDesk(t)
	d.limits.MaxRuns = 1
	d.admitted(ledger.Admit{Run: "first.0"})
	d.admit(ledger.Admit{Run: "a.1"})
	d.admit(ledger.Admit{Run: "a.2"})
	d.admit(ledger.Admit{Run: "a.3"})
	d.release("a.1", false)
	d.release("first.0", true)
	d.expectTurns("a.2")
	d.l.Gone("first.0")
	d.l.Gone("a.2")
	d.wait(0)
	d.confirm("x", 0)
	d.expectTurns("a.3")
	d.admitted(ledger.Admit{Run: "a.3"})
	d.l.Gone("a.3") // it has been heard of
	d.is(d.admit(ledger.Admit{Run: "a.4"}), ledger.Queued, ledger.GuardConcurrency)
}

// An episode's run is called NAME.FINGERPRINT-TIME.
func longRun(n int) ledger.Admit {
	return ledger.Admit{
		Run:     fmt.Sprintf("db-pool-exhausted-in-prod.%016x-%d", uint64(n)*0x9e3779b97f4a7c15, start.Unix()+int64(n)),
		Runbook: "db-pool-exhausted-in-prod", Alert: fmt.Sprintf("DBPoolExhausted%d", n%20), Severity: []string{"critical", "warning"}[n%2],
		Source: "alert", Resource: fmt.Sprintf("postgres/payments-%05d", n), Cooldown: model.Duration(10 * time.Minute),
		Rate: []ledger.Rate{{N: 3, Per: model.Duration(time.Hour)}, {N: 7, Per: model.Duration(24 * time.Hour)}},
	}
}

func TestTheStateOfAFullQueueIsSmall(t *testing.T) {
	d := newDesk(t)
	d.limits.Queue.MaxWait = model.Duration(time.Hour)
	d.limits.MaxRuns = 1
	for _, c := range []struct{ runs, text, packed int }{{10_000, 2_000_000, 500_000}, {20_000, 4_000_000, 1_000_000}} {
		var ops []ledger.Op
		for n := d.l.Snapshot().Queued + 1; n <= c.runs; n++ {
			a := longRun(n)
			ops = append(ops, ledger.Op{Admit: &a})
		}
		began := time.Now()
		d.l.Apply(d.now, d.limits, ops)
		took := time.Since(began)
		if n := d.l.Snapshot().Queued; n < c.runs-1 {
			t.Fatalf("%d queued", n)
		}
		raw, err := json.Marshal(d.l)
		if err != nil {
			t.Fatal(err)
		}
		packed, err := d.l.Pack()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d queued: %d bytes, %d packed; the last %d came in %s", c.runs, len(raw), len(packed), len(ops), took)
		if len(raw) > c.text || len(packed) > c.packed {
			t.Errorf("%d queued: %d bytes, %d packed", c.runs, len(raw), len(packed))
		}
	}
	d.reread()
	if raw, _ := json.Marshal(d.l.Snapshot()); len(raw) > 1_000_000 {
		t.Errorf("a snapshot of %d bytes", len(raw))
	}
}

func TestTheStateForgets(t *testing.T) {
	d := newDesk(t)
	empty, _ := json.Marshal(d.l)
	for n := range 2000 {
		a := longRun(n)
		d.is(d.admit2(a), ledger.Admitted, "")
		d.admit2(ledger.Admit{Run: a.Run + "x", Runbook: a.Runbook, Source: "alert", Resource: a.Resource, OnConflict: "drop"})
		d.l.Apply(d.now, d.limits, []ledger.Op{
			{Reserve: &ledger.Reserve{Run: a.Run, Step: "s", Targets: []string{a.Resource}, Rate: a.Rate}},
			{Release: &ledger.Release{Run: a.Run, Acted: true}},
		})
	}
	full, _ := json.Marshal(d.l)
	d.now = d.now.Add(24*time.Hour + time.Minute)
	d.l.Tick(d.now)
	after, _ := json.Marshal(d.l)
	if len(full) < 100*len(empty) || len(after) > 2*len(empty) {
		t.Errorf("%d bytes, then %d, then %d: %.500s", len(empty), len(full), len(after), after)
	}
}

// admit2 leaves the state as it is, for tests with much of it.
func (d *desk) admit2(a ledger.Admit) ledger.Answer {
	answers, _ := d.l.Apply(d.now, d.limits, []ledger.Op{{Admit: &a}})
	return answers[0]
}

func TestTrust(t *testing.T) {
	d := newDesk(t)
	prove := func(n int, verdict string, took time.Duration) {
		p := ledger.Proof{
			Runbook: "restart", Digest: "d1", Gameday: "drill", Verdict: verdict,
			At: start.Add(time.Duration(n) * 24 * time.Hour), Recovery: model.Duration(took),
		}
		d.do(ledger.Op{Prove: &p})
		d.do(ledger.Op{Prove: &p}) // again
	}
	trust := func() ledger.Trust {
		t.Helper()
		all := d.l.Snapshot().Trust
		if len(all) != 1 {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	for n := range 7 {
		prove(n, "passed", time.Duration(35+n)*time.Second)
	}
	prove(8, "aborted", 0)
	prove(9, "inconclusive", 0)
	got := trust()
	if got.Good != 5 || got.Of != 5 || time.Duration(got.P95) != 41*time.Second || !got.Passed.At.Equal(start.Add(6*24*time.Hour)) || got.Passed.Digest != "d1" {
		t.Fatalf("%+v", got)
	}
	now := start.Add(10 * 24 * time.Hour)
	if !got.Valid(now, 5*24*time.Hour) || got.Valid(now, 3*24*time.Hour) || !got.Valid(now, 0) {
		t.Error("a proof of 4 days")
	}
	prove(10, "degraded", time.Minute)
	if got = trust(); got.Good != 5 || got.Of != 5 || got.Demoted() {
		t.Errorf("%+v", got)
	}
	prove(11, "failed", 0)
	if got = trust(); got.Good != 4 || !got.Demoted() || got.Valid(now, 0) {
		t.Errorf("%+v", got)
	}
	prove(12, "passed", time.Second)
	if got = trust(); got.Demoted() || got.Failed == nil {
		t.Errorf("%+v", got)
	}
	prove(7, "failed", 0) // late news
	prove(-1, "passed", time.Second)
	day := func(n int) time.Time { return start.Add(time.Duration(n) * 24 * time.Hour) }
	if got = trust(); got.Demoted() || !got.Failed.At.Equal(day(11)) || !got.Passed.At.Equal(day(12)) {
		t.Errorf("%+v", got)
	}
	for n := range 10 {
		d.do(ledger.Op{Prove: &ledger.Proof{Runbook: "restart", Digest: fmt.Sprint(n), Verdict: "passed", At: start}})
	}
	if all := d.l.Snapshot().Trust; len(all) != 3 || all[2].Digest != "9" {
		t.Errorf("%d behaviours are kept", len(all))
	}
}
