package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

func TestCooldown(t *testing.T) {
	d := newDesk(t)
	a := func(run string) ledger.Admit {
		return ledger.Admit{Run: run, Resource: "db", Cooldown: model.Duration(10 * time.Minute)}
	}
	d.admitted(a("restart.1"))
	d.is(d.admit(a("restart.2")), ledger.Queued, ledger.GuardResource)
	d.wait(20 * time.Second)
	d.release("restart.1", true)
	if len(d.told) != 1 || d.told[0].Run != "restart.2" || d.told[0].Answer.Guard != ledger.GuardCooldown {
		t.Fatalf("told %+v", d.told)
	}
	d.wait(10*time.Minute - time.Second)
	d.is(d.admit(a("restart.3")), ledger.Refused, ledger.GuardCooldown)
	other := a("restart.4")
	other.Resource = "web"
	d.admitted(other)
	other = a("heal.5")
	other.Runbook = "heal"
	d.admitted(other)
	d.release("heal.5", true)
	d.admitted(ledger.Admit{Run: "restart.6", Resource: "db", Source: "exec", Cooldown: a("").Cooldown, Override: []string{"cooldown"}})
	d.release("restart.6", false)
	d.is(d.admit(a("restart.7")), ledger.Refused, ledger.GuardCooldown)
	d.wait(time.Second)
	d.admitted(a("restart.8"))
}

func TestACooldownWithoutAResourceCountsFromTheStart(t *testing.T) {
	d := newDesk(t)
	a := func(run string) ledger.Admit {
		return ledger.Admit{Run: run, Cooldown: model.Duration(10 * time.Minute)}
	}
	d.admitted(a("restart.1"))
	d.is(d.admit(a("restart.2")), ledger.Refused, ledger.GuardCooldown)
	d.release("restart.1", false)
	d.admitted(a("restart.3"))
}

func TestARunThatIsNeverHeardOfStartsItsCooldown(t *testing.T) {
	d := newDesk(t)
	d.admitted(ledger.Admit{Run: "restart.1", Resource: "db", Cooldown: model.Duration(10 * time.Minute)})
	d.wait(time.Minute)
	d.is(d.admit(ledger.Admit{Run: "restart.2", Resource: "db", Cooldown: model.Duration(10 * time.Minute)}), ledger.Refused, ledger.GuardCooldown)
}

func TestSeveralRatesHoldAtOnce(t *testing.T) {
	d := newDesk(t)
	n := 0
	try := func() ledger.Answer {
		n++
		run := fmt.Sprintf("restart.%d", n)
		answer := d.admit(ledger.Admit{Run: run, Resource: "db", Rate: rates(t, "3/h", "7/d")})
		d.release(run, true)
		return answer
	}
	for range 3 {
		d.is(try(), ledger.Admitted, "")
		d.wait(time.Minute)
	}
	refused := try()
	d.is(refused, ledger.Refused, ledger.GuardRate)
	if want := "the next time at 04:00:00 UTC"; !strings.Contains(refused.Reason, want) {
		t.Errorf("%q does not say %q", refused.Reason, want)
	}
	d.wait(57*time.Minute - time.Nanosecond)
	d.is(try(), ledger.Refused, ledger.GuardRate)
	d.wait(time.Nanosecond)
	d.is(try(), ledger.Admitted, "")
	d.wait(2 * time.Hour)
	for range 3 {
		d.is(try(), ledger.Admitted, "")
	}
	d.wait(2 * time.Hour)
	d.is(try(), ledger.Refused, ledger.GuardRate) // 7/d
	d.is(d.admit(ledger.Admit{Run: "restart.x", Resource: "web", Rate: rates(t, "3/h")}), ledger.Admitted, "")
	d.is(d.admit(ledger.Admit{Run: "restart.y", Source: "exec", Resource: "db", Rate: rates(t, "3/h", "7/d"), Override: []string{"rate"}}), ledger.Admitted, "")
	d.wait(24 * time.Hour)
	d.is(try(), ledger.Admitted, "")
}

func TestARunThatDidNothingCostsNothing(t *testing.T) {
	d := newDesk(t)
	d.limits.Rate = rates(t, "1/h")
	a := ledger.Admit{Run: "restart.1", Rate: rates(t, "1/h")}
	d.admitted(a)
	d.release("restart.1", false)
	a.Run = "restart.2"
	d.admitted(a)
	d.do(ledger.Op{Release: &ledger.Release{Run: "restart.2", Linger: true}}) // who knows
	a.Run = "restart.3"
	d.is(d.admit(a), ledger.Refused, ledger.GuardRate)
}

func TestTheRateOfAllRunbooks(t *testing.T) {
	d := newDesk(t)
	d.limits.Rate = rates(t, "2/m")
	d.admitted(ledger.Admit{Run: "restart.1"})
	d.admitted(ledger.Admit{Run: "heal.2", Runbook: "heal"})
	d.is(d.admit(ledger.Admit{Run: "other.3", Runbook: "other"}), ledger.Refused, ledger.GuardRate)
	d.wait(time.Minute)
	d.admitted(ledger.Admit{Run: "other.4", Runbook: "other"})
}

func TestReserveIsAllOrNothing(t *testing.T) {
	d := newDesk(t)
	reserve := func(step string, targets ...string) ledger.Answer {
		return d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.1", Step: step, Targets: targets, Rate: rates(t, "2/h", "3/d")}})
	}
	d.is(reserve("one", "a", "b"), ledger.Admitted, "")
	d.is(reserve("one", "a", "b"), ledger.Admitted, "") // the answer was lost
	d.is(reserve("two", "a"), ledger.Admitted, "")
	answer := reserve("three", "b", "a", "c")
	d.is(answer, ledger.Refused, ledger.GuardRate)
	if !strings.HasPrefix(answer.Reason, "a may act 2/h") {
		t.Errorf("%q does not name the target", answer.Reason)
	}
	d.is(reserve("four", "b", "c"), ledger.Admitted, "") // nothing was booked on them
	d.is(reserve("five", "b"), ledger.Refused, ledger.GuardRate)
	d.wait(time.Hour)
	d.is(reserve("six", "a"), ledger.Admitted, "")
	d.is(reserve("seven", "a"), ledger.Refused, ledger.GuardRate)
	d.wait(24 * time.Hour)
	d.is(reserve("eight", "a"), ledger.Admitted, "")
}

// What a person does beyond a rate counts for those who come after.
func TestAPersonSetsTheRatesOfTargetsAside(t *testing.T) {
	d := newDesk(t)
	reserve := func(run string, override ...string) ledger.Answer {
		return d.do(ledger.Op{Reserve: &ledger.Reserve{Run: run, Step: "one", Targets: []string{"a"}, Rate: rates(t, "2/h"), Override: override}})
	}
	d.is(reserve("restart.1"), ledger.Admitted, "")
	d.is(reserve("restart.2", "cooldown"), ledger.Admitted, "")
	d.is(reserve("restart.3", "cooldown"), ledger.Refused, ledger.GuardRate)
	d.wait(30 * time.Minute)
	d.is(reserve("restart.3", "rate"), ledger.Admitted, "")
	d.wait(31 * time.Minute)
	d.is(reserve("restart.4"), ledger.Admitted, "")
	d.is(reserve("restart.5"), ledger.Refused, ledger.GuardRate)
}

func TestHalt(t *testing.T) {
	d := newDesk(t)
	token := d.admitted(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", Reason: "data loss", At: d.now}})
	answer := d.admit(ledger.Admit{Run: "exec.2", Source: "exec", Override: []string{"halt", "storm", "rate"}})
	d.is(answer, ledger.Queued, ledger.GuardHalt)
	if !strings.Contains(answer.Reason, "ann") || !strings.Contains(answer.Reason, "data loss") {
		t.Errorf("%q says not who and why", answer.Reason)
	}
	d.is(d.confirm("restart.1", token), ledger.Admitted, "") // runs wait, and keep what they hold
	d.release("restart.1", true)
	d.wait(time.Minute)
	d.expectTurns()
	d.do(ledger.Op{Resume: &ledger.Resume{By: "bob", At: d.now}})
	d.expectTurns("exec.2")
}

func TestTheNewestOfHaltAndResumeHolds(t *testing.T) {
	d := newDesk(t)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	halted := func(want bool) {
		t.Helper()
		if got := d.l.Brief().Halt != nil; got != want {
			t.Fatalf("halted: %v", got)
		}
	}
	d.now = at(60)
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", At: at(10)}})
	d.do(ledger.Op{Resume: &ledger.Resume{By: "bob", At: at(5)}})
	halted(true)
	d.do(ledger.Op{Halt: &ledger.Halt{By: "old", At: at(7)}})
	if by := d.l.Brief().Halt.By; by != "ann" {
		t.Errorf("halted by %s", by)
	}
	d.do(ledger.Op{Resume: &ledger.Resume{By: "bob", At: at(20)}})
	halted(false)
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", At: at(10)}}) // arrives again
	halted(false)
	d.do(ledger.Op{Halt: &ledger.Halt{By: "eve", At: at(3600)}}) // a fast clock
	halted(true)
	d.do(ledger.Op{Resume: &ledger.Resume{By: "bob"}})
	halted(false)
}

func TestAHaltEndsByItself(t *testing.T) {
	d := newDesk(t)
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", Until: start.Add(2 * time.Hour)}})
	d.admit(ledger.Admit{Run: "restart.1"})
	d.wait(2*time.Hour - time.Second)
	d.expectTurns()
	d.wait(time.Second)
	d.expectTurns("restart.1")
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann", At: start, Until: start.Add(2 * time.Hour)}})
	d.admitted(ledger.Admit{Run: "restart.2"})
}

func TestAHaltStopsTheClockOfThoseWhoWait(t *testing.T) {
	d := newDesk(t)
	d.limits.Queue.MaxWait = model.Duration(time.Hour)
	token := d.admitted(ledger.Admit{Run: "restart.0", Resource: "db"})
	d.admit(ledger.Admit{Run: "restart.1", Resource: "db"})
	d.wait(10 * time.Second)
	d.do(ledger.Op{Confirm: &ledger.Confirm{Run: "restart.0", Token: token, Keep: model.Duration(100 * time.Hour)}})
	d.do(ledger.Op{Halt: &ledger.Halt{By: "ann"}})
	d.wait(time.Minute)
	d.admit(ledger.Admit{Run: "restart.2", Resource: "db"})
	d.wait(9 * time.Hour)
	d.admit(ledger.Admit{Run: "restart.3", Resource: "web"})
	if len(d.told) != 0 {
		t.Fatalf("told while halted: %+v", d.told)
	}
	d.do(ledger.Op{Resume: &ledger.Resume{By: "ann"}})
	d.expectTurns("restart.3")
	d.wait(time.Hour - 11*time.Second)
	if len(d.told) != 0 {
		t.Fatalf("told %+v", d.told)
	}
	d.wait(time.Second)
	if len(d.told) != 1 || d.told[0].Run != "restart.1" || d.told[0].Answer.State != ledger.Refused {
		t.Fatalf("told %+v", d.told)
	}
	d.wait(10 * time.Second)
	if len(d.told) != 2 || d.told[1].Run != "restart.2" || d.told[1].Answer.Guard != ledger.GuardQueue {
		t.Fatalf("told %+v", d.told)
	}
}

func storm(d *desk, n int) {
	d.limits.Storm = ledger.Storm{Runs: n, Within: model.Duration(5 * time.Minute)}
}

func TestTheStormBreaker(t *testing.T) {
	d := newDesk(t)
	storm(d, 3)
	alert := func(n int) ledger.Admit { return ledger.Admit{Run: fmt.Sprintf("restart.%d", n)} }
	for n := range 3 {
		d.admitted(alert(n))
		d.admitted(alert(n)) // asks again: counted once
	}
	d.wait(5 * time.Minute)
	for n := 3; n < 6; n++ {
		d.admitted(alert(n))
	}
	d.wait(time.Minute)
	answer := d.admit(alert(6))
	d.is(answer, ledger.Queued, ledger.GuardStorm)
	if b := d.l.Brief().Storm; b == nil || b.Runs != 4 || !b.Since.Equal(d.now) {
		t.Fatalf("breaker %+v", b)
	}
	d.admitted(ledger.Admit{Run: "exec.1", Source: "exec"})
	d.admitted(ledger.Admit{Run: "drill.1", Source: "gameday"})
	d.admitted(ledger.Admit{Run: "restart.x", Override: []string{"storm"}})
	d.wait(24 * time.Hour)
	d.is(d.admit(alert(7)), ledger.Queued, ledger.GuardStorm)
	d.expectTurns()
	d.do(ledger.Op{Reset: &ledger.Reset{By: "ann", Since: start}}) // of another opening
	d.expectTurns()
	d.do(ledger.Op{Reset: &ledger.Reset{By: "ann", Since: d.l.Brief().Storm.Since}})
	d.expectTurns("restart.6", "restart.7")
	d.admitted(alert(8))
}

func TestTheBacklogOfAStormIsSkipped(t *testing.T) {
	d := newDesk(t)
	storm(d, 1)
	d.limits.MaxRuns, d.rereads = 1, 10_000
	d.admitted(ledger.Admit{Run: "restart.0"})
	const backlog = 1050
	for n := 1; n <= backlog; n++ {
		d.admit(ledger.Admit{Run: fmt.Sprintf("restart.%d", n)})
	}
	d.is(d.admit(ledger.Admit{Run: "exec.1", Source: "exec"}), ledger.Queued, ledger.GuardConcurrency)
	d.do(ledger.Op{Reset: &ledger.Reset{By: "ann", Skip: true}})
	d.is(d.admit(ledger.Admit{Run: "restart.1050"}), ledger.Refused, ledger.GuardStorm) // asks before it is told
	d.is(d.admit(ledger.Admit{Run: "restart.new"}), ledger.Queued, ledger.GuardConcurrency)
	d.wait(time.Second)
	if len(d.told) < backlog-1 {
		t.Fatalf("%d were told", len(d.told))
	}
	for _, e := range d.told {
		d.is(*e.Answer, ledger.Refused, ledger.GuardStorm)
		if !strings.Contains(e.Answer.Reason, "ann") {
			t.Fatalf("%q does not say who", e.Answer.Reason)
		}
		// The signal was lost.
		d.is(d.admit(ledger.Admit{Run: e.Run}), ledger.Refused, ledger.GuardStorm)
	}
	d.told = nil
	d.release("restart.0", true)
	d.expectTurns("exec.1")
}

func TestAStormIsDrainedInOrderAndWithoutARush(t *testing.T) {
	d := newDesk(t)
	storm(d, 50)
	d.rereads = 100
	const runs = 1000
	for n := range runs {
		d.admit(ledger.Admit{Run: fmt.Sprintf("restart.%d", n), Resource: fmt.Sprint(n)})
	}
	d.do(ledger.Op{Reset: &ledger.Reset{By: "ann"}})
	next := 50
	for next < runs {
		turns := d.turns()
		if len(turns) == 0 || len(turns) > 100 {
			t.Fatalf("%d turns at once, at run %d", len(turns), next)
		}
		for _, run := range turns {
			if want := fmt.Sprintf("restart.%d", next); run != want {
				t.Fatalf("turn of %s, not of %s", run, want)
			}
			next++
			if next > runs-200 {
				d.admitted(ledger.Admit{Run: run})
				continue
			}
			d.is(d.admit(ledger.Admit{Run: "late." + run, Runbook: "late", Source: "exec", Severity: "info", Resource: "late " + run}), ledger.Queued, ledger.GuardQueue)
			d.release("late."+run, false)
			d.admitted(ledger.Admit{Run: run})
			d.release(run, true)
		}
		d.wait(0)
	}
}
