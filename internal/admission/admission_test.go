package admission_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/workflows"
)

func TestATurnIsSignalled(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	d.run("heal.2")
	d.is(d.admit("heal.1", "db"), ledger.Admitted, "")
	d.is(d.admit("heal.2", "db"), ledger.Queued, ledger.GuardResource)
	d.release("heal.1")
	eventually(t, "its turn is signalled", func() bool { return len(d.heard("heal.2").Turns) == 1 })
	told := d.heard("heal.2").Turns[0]
	if again := d.admit("heal.2", "db"); again.State != ledger.Admitted || again.Token != told.Token {
		t.Errorf("told %+v, answered %+v", told, again)
	}
}

func TestTheReplacedRunIsToldToStop(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	d.run("heal.1")
	d.admit("heal.1", "db")
	newer := admit("heal.2", "db")
	newer.Admit.OnConflict = "replace"
	d.is(d.do(newer), ledger.Queued, ledger.GuardResource)
	eventually(t, "it is told to stop", func() bool { return len(d.heard("heal.1").Stops) == 1 })
}

func TestALeaseExpiresByItself(t *testing.T) {
	d := newDesk(t, lease(2*time.Second), 0)
	d.run("heal.2")
	first := d.admit("heal.1", "db")
	d.is(d.admit("heal.2", "db"), ledger.Queued, ledger.GuardResource)
	eventually(t, "the next one's turn comes", func() bool { return len(d.heard("heal.2").Turns) > 0 })
	d.is(d.do(ledger.Op{Confirm: &ledger.Confirm{Run: "heal.1", Token: first.Token}}), ledger.Refused, ledger.GuardResource)
}

func TestARunThatIsGoneDoesNotHoldUpTheNext(t *testing.T) {
	d := newDesk(t, lease(10*time.Minute), 0)
	d.run("heal.3")
	d.admit("heal.1", "db")
	d.admit("heal.2", "db") // has no workflow
	d.admit("heal.3", "db")
	d.release("heal.1")
	eventually(t, "the next one's turn comes", func() bool { return len(d.heard("heal.3").Turns) == 1 })
}

func TestEverythingOutlivesAnExecutionOfTheLedger(t *testing.T) {
	limits := lease(30 * time.Second)
	limits.MaxRuns = 2
	d := newDesk(t, limits, 3)
	first := d.admit("heal.1", "db")
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", At: time.Now()}})
	for n := range 20 {
		d.is(d.admit(fmt.Sprintf("late.%d", n), "db"), ledger.Queued, ledger.GuardHalt)
		b, err := d.Brief(t.Context())
		if err == nil && (b.Halt == nil || b.Halt.By != "ann") {
			t.Fatalf("after %d: %+v, %v", n, b, err)
		}
	}
	if n := d.executions(); n < 7 {
		t.Fatalf("%d executions of the ledger: nothing is shown", n)
	}
	d.do(ledger.Op{Resume: &ledger.Resume{By: "ann"}})
	again := d.admit("heal.1", "db")
	if again.Token != first.Token {
		t.Errorf("token %d, then %d", first.Token, again.Token)
	}
	s, err := d.Snapshot(t.Context())
	if err != nil || s.Queued != 20 || len(s.Leases) != 1 || s.Halt != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

// executions counts how often the ledger began anew.
func (d *desk) executions() int {
	d.t.Helper()
	n := 0
	out, err := d.temporal.DescribeWorkflowExecution(d.t.Context(), workflows.LedgerID, "")
	if err != nil {
		d.t.Fatal(err)
	}
	for run := out.WorkflowExecutionInfo.Execution.RunId; run != ""; n++ {
		events := d.temporal.GetWorkflowHistory(d.t.Context(), workflows.LedgerID, run, false, 0)
		first, err := events.Next()
		if err != nil {
			d.t.Fatal(err)
		}
		run = first.GetWorkflowExecutionStartedEventAttributes().GetContinuedExecutionRunId()
	}
	return n
}

func TestNothingIsLostWhileTheLedgerBeginsAnewUnderLoad(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 5)
	var mu sync.Mutex
	tokens := map[int64]string{}
	together(8, func(i int) {
		own := d.another(d.temporal)
		for n := range 25 {
			run := fmt.Sprintf("heal.%d-%d", i, n)
			answer, err := own.Apply(t.Context(), admit(run, run))
			mu.Lock()
			if other := tokens[answer.Token]; err != nil || answer.State != ledger.Admitted || other != "" {
				t.Errorf("%s: %+v, %v; the same as %q", run, answer, err, other)
			}
			tokens[answer.Token] = run
			mu.Unlock()
		}
	})
	s, err := d.Snapshot(t.Context())
	if err != nil || s.Acting != 200 {
		t.Errorf("%d of 200 runs act: %v", s.Acting, err)
	}
	if n := d.executions(); n < 10 {
		t.Errorf("%d executions of the ledger: nothing is shown", n)
	}
}

// Turns are signalled all the time, and still the ledger gets to begin anew.
func TestTheLedgerBeginsAnewWhileItTellsRuns(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 5)
	const players, each = 4, 5
	start := starter(d.temporal)
	together(players, func(i int) {
		own := d.another(d.temporal)
		ask := func(op ledger.Op) ledger.State {
			a, err := own.Apply(t.Context(), op)
			if err != nil {
				t.Error(err)
			}
			return a.State
		}
		for n := range each {
			run := fmt.Sprintf("heal.anew-%d-%d", i, n)
			if err := start(t.Context(), run); err != nil {
				t.Error(err)
			}
			for ask(admit(run, "db")) == ledger.Queued {
				time.Sleep(5 * time.Millisecond)
			}
			ask(ledger.Op{Release: &ledger.Release{Run: run, Acted: true}})
		}
	})
	s, err := d.Snapshot(t.Context())
	if err != nil || s.Queued != 0 || len(s.Leases) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if n := d.executions(); n < players*each/5 {
		t.Errorf("%d executions of the ledger", n)
	}
}

func TestTheLedgerOutlivesItsWorker(t *testing.T) {
	d := newDesk(t, lease(time.Minute), 0)
	first := d.admit("heal.1", "db")
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", At: time.Now()}})
	d.worker.Stop()
	// The kill switch is known while nobody keeps the ledger.
	if b, err := d.Brief(t.Context()); err != nil || b.Halt == nil {
		t.Fatalf("%+v, %v", b, err)
	}
	answers := make(chan ledger.Answer)
	go func() { answers <- d.admit("heal.1", "db") }()
	select {
	case a := <-answers:
		t.Fatalf("an answer from nobody: %+v", a)
	case <-time.After(300 * time.Millisecond):
	}
	d.work()
	if again := <-answers; again.Token != first.Token {
		t.Errorf("token %d, then %d", first.Token, again.Token)
	}
}

func TestTheLedgerIsStartedWhereThereIsNone(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	before := d.admit("heal.1", "db")
	d.end()
	if b, err := d.Brief(t.Context()); err != nil || b.Halt != nil {
		t.Logf("%+v, %v", b, err)
	}
	after := d.admit("heal.2", "db")
	d.is(after, ledger.Admitted, "")
	if after.Token <= before.Token {
		t.Errorf("token %d after %d", after.Token, before.Token)
	}
	if err := d.Ensure(t.Context()); err != nil {
		t.Error(err)
	}
	d.is(d.admit("heal.3", "db"), ledger.Queued, ledger.GuardResource)
}

func TestQuestionsGoTogether(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	d.admit("heal.first", "")
	const asked = 500
	together(asked, func(i int) {
		run := fmt.Sprintf("heal.%d", i)
		if a := d.admit(run, run); a.State != ledger.Admitted {
			t.Errorf("%s: %+v", run, a)
		}
	})
	out, err := d.temporal.DescribeWorkflowExecution(t.Context(), workflows.LedgerID, "")
	if err != nil {
		t.Fatal(err)
	}
	if n := out.WorkflowExecutionInfo.HistoryLength; n > asked {
		t.Errorf("%d questions made %d events", asked, n)
	}
}

func TestAQuestionEndsWithItsContext(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	d.worker.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := d.Apply(ctx, admit("heal.1", "db")); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	d.work()
}

func TestWatch(t *testing.T) {
	limits := lease(30 * time.Second)
	limits.MaxRuns, limits.Queue.Max = 1, 2
	limits.Storm = ledger.Storm{Runs: 1, Within: model.Duration(time.Minute)}
	d := newDesk(t, limits, 4)
	var mu sync.Mutex
	var last ledger.Brief
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		d.Watch(ctx, func(b ledger.Brief, err error) {
			mu.Lock()
			defer mu.Unlock()
			if last = b; err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}()
	sees := func(what string, is func(ledger.Brief) bool) {
		t.Helper()
		eventually(t, what, func() bool { mu.Lock(); defer mu.Unlock(); return is(last) })
	}
	began := time.Now()
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", At: began}})
	sees("the halt", func(b ledger.Brief) bool { return b.Halt != nil && b.Halt.By == "ann" })
	t.Logf("the halt was seen after %s", time.Since(began))
	d.do(ledger.Op{Resume: &ledger.Resume{By: "ann"}})
	sees("the end of the halt", func(b ledger.Brief) bool { return b.Halt == nil && b.Resumed != nil })
	for n := range 3 {
		op := admit(fmt.Sprintf("heal.%d", n), "")
		op.Admit.Source = "alert"
		d.do(op)
	}
	sees("the storm and the full queue", func(b ledger.Brief) bool { return b.Storm != nil && b.Storm.Runs == 2 && b.Full })
	d.do(ledger.Op{Reset: &ledger.Reset{By: "ann", Skip: true}})
	sees("that all is well", func(b ledger.Brief) bool { return b.Storm == nil && !b.Full })
	stop()
	<-watched
}

func TestHoldKeepsTheLease(t *testing.T) {
	const short = 2 * time.Second
	d := newDesk(t, lease(short), 0)
	a := d.admit("heal.1", "db")
	held, stop, err := d.Hold(t.Context(), "heal.1", a.Token)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(short * 3 / 2); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if held.Err() != nil {
			t.Fatalf("it ended: %v", context.Cause(held))
		}
		d.is(d.admit("heal.2", "db"), ledger.Queued, ledger.GuardResource)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if held.Err() == nil {
		t.Error("the context goes on after stop")
	}
}

// Who is cut off can not confirm a lease: what holds is the admission.
func TestAnAdmissionProvesTheLeaseOnceAndForAMoment(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	near := newProxy(t)
	d.Client = d.another(dial(t, near))
	late, a := d.admit("heal.2", "web"), d.admit("heal.1", "db")
	near.cut(true, true)
	asked := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	held, stop, err := d.Hold(ctx, "heal.1", a.Token)
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(asked), err)
	}
	defer func() { _ = stop() }()
	if held.Err() != nil {
		t.Error(context.Cause(held))
	}
	asks := func(run string, token int64) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, _, err := d.Hold(ctx, run, token); err == nil {
			t.Errorf("%s is held, and nobody was asked", run)
		}
	}
	asks("heal.1", a.Token)
	time.Sleep(time.Until(asked.Add(1100 * time.Millisecond)))
	asks("heal.2", late.Token)
}

func TestHoldNeedsALease(t *testing.T) {
	d := newDesk(t, lease(30*time.Second), 0)
	a := d.admit("heal.1", "db")
	if _, _, err := d.Hold(t.Context(), "heal.1", a.Token-1); !isLost(err) {
		t.Errorf("with an old token: %v", err)
	}
	a = d.admit("heal.1", "db")
	d.release("heal.1")
	if _, _, err := d.Hold(t.Context(), "heal.1", a.Token); !isLost(err) {
		t.Errorf("after the release: %v", err)
	}
}

// However soon it comes, an admission does not prove what is about to expire.
func TestAnAdmissionToAShortLeaseProvesLess(t *testing.T) {
	d := newDesk(t, lease(500*time.Millisecond), 0)
	a := d.admit("heal.1", "db")
	time.Sleep(150 * time.Millisecond)
	d.worker.Stop()
	defer d.work()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, _, err := d.Hold(ctx, "heal.1", a.Token); err == nil {
		t.Error("it is held, and nobody was asked")
	}
}

func TestHoldEndsWithTheLease(t *testing.T) {
	d := newDesk(t, lease(2*time.Second), 0)
	a := d.admit("heal.1", "db")
	held, stop, err := d.Hold(t.Context(), "heal.1", a.Token)
	if err != nil {
		t.Fatal(err)
	}
	force := admit("heal.2", "db")
	force.Admit.Override = []string{"resource"}
	d.is(d.do(force), ledger.Admitted, "")
	select {
	case <-held.Done():
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
	if err := stop(); !isLost(err) || !isLost(context.Cause(held)) {
		t.Errorf("%v, %v", err, context.Cause(held))
	}
}

func TestHoldEndsWhenNobodyAnswers(t *testing.T) {
	d := newDesk(t, lease(2*time.Second), 0)
	a := d.admit("heal.1", "db")
	asked := time.Now()
	held, stop, err := d.Hold(t.Context(), "heal.1", a.Token)
	if err != nil {
		t.Fatal(err)
	}
	d.worker.Stop()
	<-held.Done()
	if took := time.Since(asked); took > 10*time.Second {
		t.Errorf("it ended after %s", took)
	}
	if err := stop(); !isLost(err) {
		t.Error(err)
	}
	d.work()
}

var _ workflows.Ledger = (*admission.Client)(nil)
