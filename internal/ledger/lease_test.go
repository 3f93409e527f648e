package ledger_test

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

func TestAResourceHasOneOwner(t *testing.T) {
	d := newDesk(t)
	first := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.is(d.admit(ledger.Admit{Run: "other.2", Runbook: "other", Resource: "db"}), ledger.Queued, ledger.GuardResource)
	d.is(d.admit(ledger.Admit{Run: "drill.3", Source: "gameday", Resource: "db"}), ledger.Queued, ledger.GuardResource)
	d.is(d.admit(ledger.Admit{Run: "restart.4", Resource: "db", OnConflict: "drop"}), ledger.Refused, ledger.GuardResource)
	d.admitted(ledger.Admit{Run: "restart.5", Resource: "web"})
	d.expectTurns()
	d.release("restart.1", true)
	d.expectTurns("other.2")
	d.is(d.confirm("restart.1", first), ledger.Refused, ledger.GuardResource)
	second := d.admitted(ledger.Admit{Run: "other.2", Runbook: "other", Resource: "db"})
	if second <= first {
		t.Fatalf("token %d after %d", second, first)
	}
	d.is(d.confirm("other.2", first), ledger.Refused, ledger.GuardResource)
	d.is(d.confirm("other.2", second), ledger.Admitted, "")
}

func TestALeaseHoldsWhileItIsConfirmed(t *testing.T) {
	d := newDesk(t)
	token := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.admit(ledger.Admit{Run: "restart.2", Resource: "db"})
	for range 10 {
		d.wait(29 * time.Second)
		d.is(d.confirm("restart.1", token), ledger.Admitted, "")
	}
	d.wait(30*time.Second + 5*time.Second)
	d.expectTurns() // the margin
	d.wait(2 * time.Second)
	d.expectTurns("restart.2")
	d.is(d.confirm("restart.1", token), ledger.Refused, ledger.GuardResource)
}

func TestALeaseIsKeptThroughAWait(t *testing.T) {
	d := newDesk(t)
	token := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.admit(ledger.Admit{Run: "restart.2", Resource: "db"})
	d.do(ledger.Op{Confirm: &ledger.Confirm{Run: "restart.1", Token: token, Keep: model.Duration(10 * time.Minute)}})
	d.is(d.confirm("restart.1", token), ledger.Admitted, "")
	d.wait(10 * time.Minute)
	d.is(d.confirm("restart.1", token), ledger.Admitted, "")
	d.expectTurns()
	d.wait(2 * time.Minute)
	d.expectTurns("restart.2")
}

func TestALeaseLingers(t *testing.T) {
	d := newDesk(t)
	token := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.admit(ledger.Admit{Run: "restart.2", Resource: "db"})
	d.wait(20 * time.Second)
	d.do(ledger.Op{Release: &ledger.Release{Run: "restart.1", Linger: true}})
	d.is(d.confirm("restart.1", token), ledger.Refused, ledger.GuardResource)
	d.wait(15 * time.Second)
	d.expectTurns()
	d.wait(2 * time.Second)
	d.expectTurns("restart.2")
}

func TestAnAnswerThatWasLostIsGivenAgain(t *testing.T) {
	d := newDesk(t)
	a := ledger.Admit{Run: "restart.1", Resource: "db", Rate: rates(t, "1/h"), Cooldown: model.Duration(time.Hour)}
	token := d.admitted(a)
	if again := d.admitted(a); again != token {
		t.Fatalf("token %d, then %d", token, again)
	}
	d.release("restart.1", true)
	d.release("restart.1", false)
	d.is(d.admit(a), ledger.Refused, ledger.GuardEnded)
	d.is(d.admit(ledger.Admit{Run: "restart.2", Resource: "db", Cooldown: a.Cooldown}), ledger.Refused, ledger.GuardCooldown)
}

func TestARunThatLostItsLeaseIsNotHeldUpByItself(t *testing.T) {
	d := newDesk(t)
	a := ledger.Admit{Run: "restart.1", Resource: "db", Rate: rates(t, "1/h"), Cooldown: model.Duration(time.Hour)}
	first := d.admitted(a)
	d.wait(5 * time.Minute)
	d.is(d.confirm("restart.1", first), ledger.Refused, ledger.GuardResource)
	if second := d.admitted(a); second <= first {
		t.Fatalf("token %d after %d", second, first)
	}
	d.is(d.admit(ledger.Admit{Run: "restart.2", Resource: "db", OnConflict: "drop"}), ledger.Refused, ledger.GuardResource)
}

func TestReplaceStopsTheHolder(t *testing.T) {
	d := newDesk(t)
	d.rereads = 1000 // a ledger that was read back looks at everybody anew
	d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.admit(ledger.Admit{Run: "restart.2", Resource: "db", Severity: "page"})
	older := ledger.Admit{Run: "restart.3", Resource: "db", OnConflict: "replace"}
	newer := ledger.Admit{Run: "restart.4", Resource: "db", OnConflict: "replace"}
	d.is(d.admit(older), ledger.Queued, ledger.GuardResource)
	d.is(d.admit(older), ledger.Queued, ledger.GuardResource)
	answer := d.admit(newer)
	d.is(answer, ledger.Queued, ledger.GuardResource)
	if answer.Position != 1 {
		t.Errorf("position %d", answer.Position)
	}
	var stops, refused []string
	for _, e := range d.told {
		if e.Stop != "" {
			stops = append(stops, e.Run)
		} else {
			refused = append(refused, e.Run)
		}
	}
	if len(stops) != 1 || stops[0] != "restart.1" || len(refused) != 1 || refused[0] != "restart.3" {
		t.Fatalf("stopped %q, refused %q", stops, refused)
	}
	d.told = nil
	d.is(d.admit(older), ledger.Refused, ledger.GuardResource)
	d.release("restart.1", true)
	d.expectTurns("restart.4")
}

func TestReplaceAfterAnotherReasonToWait(t *testing.T) {
	d := newDesk(t)
	d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann"}})
	d.is(d.admit(ledger.Admit{Run: "restart.2", Resource: "db", OnConflict: "replace"}), ledger.Queued, ledger.GuardHalt)
	d.do(ledger.Op{Resume: &ledger.Resume{By: "ann"}})
	if len(d.told) != 1 || d.told[0].Run != "restart.1" || d.told[0].Stop == "" {
		t.Fatalf("told %+v", d.told)
	}
}

func TestAPersonTakesALeaseByForce(t *testing.T) {
	d := newDesk(t)
	first := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	second := d.admitted(ledger.Admit{Run: "restart.2", Resource: "db", Source: "exec", Override: []string{"resource"}})
	if second <= first {
		t.Errorf("token %d after %d", second, first)
	}
	d.is(d.confirm("restart.1", first), ledger.Refused, ledger.GuardResource)
	if len(d.told) != 1 || d.told[0].Run != "restart.1" || d.told[0].Stop == "" {
		t.Fatalf("told %+v", d.told)
	}
}

func TestMaxRuns(t *testing.T) {
	d := newDesk(t)
	d.rereads = 1000
	d.limits.MaxRuns = 2
	d.admitted(ledger.Admit{Run: "restart.1"})
	d.admitted(ledger.Admit{Run: "restart.2"})
	d.is(d.admit(ledger.Admit{Run: "restart.3"}), ledger.Queued, ledger.GuardConcurrency)
	d.is(d.admit(ledger.Admit{Run: "restart.4"}), ledger.Queued, ledger.GuardConcurrency)
	d.admitted(ledger.Admit{Run: "exec.5", Source: "exec", Override: []string{"concurrency"}})
	d.release("restart.1", false)
	d.expectTurns()
	d.release("exec.5", false)
	d.expectTurns("restart.3")
	d.limits.MaxRuns = 0
	d.confirm("restart.2", 0)
	d.expectTurns("restart.4")
}

func TestTimeDoesNotGoBack(t *testing.T) {
	d := newDesk(t)
	d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.now = start.Add(-time.Hour)
	d.is(d.admit(ledger.Admit{Run: "restart.2", Resource: "db", OnConflict: "drop"}), ledger.Refused, ledger.GuardResource)
	d.admitted(ledger.Admit{Run: "restart.3", Resource: "web"})
	d.now = start.Add(10 * time.Second)
	d.is(d.admit(ledger.Admit{Run: "restart.4", Resource: "web", OnConflict: "drop"}), ledger.Refused, ledger.GuardResource)
	if at := d.l.Next(); at.Before(start.Add(30 * time.Second)) {
		t.Errorf("free at %s", at)
	}
}

func TestTokensGrowOverALostLedger(t *testing.T) {
	d := newDesk(t)
	before := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.wait(time.Second)
	d.l = ledger.New(d.now)
	if after := d.admitted(ledger.Admit{Run: "restart.2", Resource: "db"}); after <= before {
		t.Errorf("token %d after %d", after, before)
	}
}

// A holder that is no run of a runbook is told under its own workflow's id, also
// after the ledger was written and read.
func TestAHolderMayNameItsWorkflow(t *testing.T) {
	d := newDesk(t)
	d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.admit(ledger.Admit{Run: "drill.1", Workflow: "gameday/drill/1", Resource: "db", Source: "gameday"})
	d.release("restart.1", false)
	d.admit(ledger.Admit{Run: "restart.2", Resource: "db", OnConflict: "replace"})
	if len(d.told) != 2 || d.told[0].Workflow != "gameday/drill/1" || d.told[1].Workflow != "gameday/drill/1" || d.told[1].Stop == "" {
		t.Errorf("%+v", d.told)
	}
}
