package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// takes has a run work on pods of one deployment, of which there are ten.
func (d *desk) takes(run string, s ledger.Share, pods ...string) ledger.Answer {
	d.t.Helper()
	healthy := 10
	return d.do(ledger.Op{Reserve: &ledger.Reserve{Run: run, Step: "restart", Targets: pods, Population: &ledger.Population{
		Name: "deployment/shop/checkout", Size: 10, Healthy: &healthy, Counted: d.now, Batch: len(pods), Limits: []ledger.Share{s},
	}}})
}

func (d *desk) crowded(a ledger.Answer, parts ...string) {
	d.t.Helper()
	d.is(a, ledger.Refused, ledger.GuardPopulation)
	for _, part := range parts {
		if !strings.Contains(a.Reason, part) {
			d.t.Errorf("%q does not say %q", a.Reason, part)
		}
	}
}

func TestRunsKeepToTheLimitsOfAPopulationTogether(t *testing.T) {
	for name, s := range map[string]ledger.Share{
		"count": {Of: "the runbook", Count: 3}, "percent": {Of: "the engine", Percent: 30},
		"healthy": {Of: "the engine", Healthy: 7}, "percent healthy": {Of: "the runbook", HealthyPercent: 70},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			for _, run := range []string{"restart.1", "restart.2", "restart.3"} {
				d.admitted(ledger.Admit{Run: run})
			}
			d.is(d.takes("restart.1", s, "a", "b"), ledger.Admitted, "")
			d.is(d.takes("restart.1", s, "a", "b"), ledger.Admitted, "") // again: the answer was lost
			d.is(d.takes("restart.2", ledger.Share{}, "c"), ledger.Admitted, "")
			// The third has no limit, and still must not break that of the first.
			d.crowded(d.takes("restart.3", ledger.Share{}, "d"), s.Of, "deployment/shop/checkout", "restart.1, restart.2")
			d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.2", Step: "restart"}})
			// It counted before it could see what became of the other's work.
			d.crowded(d.takes("restart.3", ledger.Share{}, "d"))
			d.wait(time.Second)
			d.is(d.takes("restart.3", ledger.Share{}, "d"), ledger.Admitted, "")
			d.crowded(d.takes("restart.2", s, "e"))
			d.release("restart.3", true)
			d.is(d.takes("restart.2", s, "e"), ledger.Admitted, "")
		})
	}
}

// What one step may have left under way is not forgotten for the next.
func TestEachStepOfARunHasItsOwnWork(t *testing.T) {
	d := newDesk(t)
	one := ledger.Share{Of: "the runbook", Count: 1}
	d.admitted(ledger.Admit{Run: "restart.1"})
	d.admitted(ledger.Admit{Run: "restart.2"})
	d.is(d.takes("restart.1", one, "a"), ledger.Admitted, "")
	d.is(d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.1", Step: "next", Targets: []string{"x"}, Population: &ledger.Population{
		Name: "deployment/shop/cart", Size: 1, Limits: []ledger.Share{one},
	}}}), ledger.Admitted, "")
	d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.1", Step: "next"}})
	d.wait(time.Second)
	d.crowded(d.takes("restart.2", one, "b"), "restart.1")
}

func TestAnotherPopulationIsNoMatter(t *testing.T) {
	d := newDesk(t)
	d.admitted(ledger.Admit{Run: "restart.1"})
	d.admitted(ledger.Admit{Run: "restart.2"})
	d.is(d.takes("restart.1", ledger.Share{Count: 1}, "a"), ledger.Admitted, "")
	d.is(d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.2", Targets: []string{"x"}, Population: &ledger.Population{
		Name: "deployment/shop/cart", Size: 1, Limits: []ledger.Share{{Count: 1}},
	}}}), ledger.Admitted, "")
}

// What may still be under way counts until its lease is over, and who has no
// lease gets nothing.
func TestWhatIsUnderRemedyGoesWithTheLease(t *testing.T) {
	d := newDesk(t)
	one := ledger.Share{Of: "the runbook", Count: 1}
	d.admitted(ledger.Admit{Run: "restart.1"})
	d.is(d.takes("restart.1", one, "a"), ledger.Admitted, "")
	d.do(ledger.Op{Release: &ledger.Release{Run: "restart.1", Linger: true}})
	d.crowded(d.takes("restart.1", one, "a"), "the lease of restart.1 is over")
	d.admitted(ledger.Admit{Run: "restart.2"})
	d.crowded(d.takes("restart.2", one, "b"), "restart.1")
	d.wait(20 * time.Second)
	d.confirm("restart.2", 0)
	d.wait(20 * time.Second)
	d.admitted(ledger.Admit{Run: "restart.3"})
	d.is(d.takes("restart.3", one, "b"), ledger.Admitted, "")
}

func TestHealthThatIsNotKnownIsNoHealth(t *testing.T) {
	d := newDesk(t)
	d.admitted(ledger.Admit{Run: "restart.1"})
	d.admitted(ledger.Admit{Run: "restart.2"})
	d.is(d.takes("restart.1", ledger.Share{Of: "the runbook", Healthy: 1}, "a"), ledger.Admitted, "")
	d.crowded(d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.2", Targets: []string{"b"}, Population: &ledger.Population{
		Name: "deployment/shop/checkout", Size: 10,
	}}}), "it is not known how many")
}

// chooses has a run work on pods of a population, all of whose members are known.
func (d *desk) chooses(run, population string, members []string, s ledger.Share, pods ...string) ledger.Answer {
	d.t.Helper()
	healthy := len(members)
	return d.do(ledger.Op{Reserve: &ledger.Reserve{Run: run, Step: "restart", Targets: pods, Population: &ledger.Population{
		Name: population, Size: len(members), Healthy: &healthy, Counted: d.now, Batch: len(pods), Limits: []ledger.Share{s},
		Members: ledger.MembersOf(members),
	}}})
}

// Two selectors may mean some of the same pods: app=x and app=x,tier=y, or tier=y.
func TestPopulationsThatShareTargetsKeepToTheLimitsOfBoth(t *testing.T) {
	app, tier, other := []string{"a", "b", "c", "d"}, []string{"c", "d", "e", "f"}, []string{"g", "h"}
	for name, s := range map[string]ledger.Share{
		"count": {Of: "the runbook", Count: 1}, "percent": {Of: "the engine", Percent: 25}, "healthy": {Of: "the engine", Healthy: 3},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			for _, run := range []string{"restart.1", "restart.2", "restart.3", "restart.4"} {
				d.admitted(ledger.Admit{Run: run})
			}
			d.is(d.chooses("restart.1", "app", app, s, "c"), ledger.Admitted, "")
			d.is(d.chooses("restart.2", "other", other, s, "g"), ledger.Admitted, "")
			// c is of its population too.
			d.crowded(d.chooses("restart.3", "tier", tier, s, "e"), "of tier", "restart.1")
			// d is of the population of the first, which has a limit.
			d.crowded(d.chooses("restart.3", "tier", tier, ledger.Share{}, "d"), "of app", "restart.1")
			// f is of no other population that has a limit.
			d.is(d.chooses("restart.3", "tier", tier, ledger.Share{}, "f"), ledger.Admitted, "")
			d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.1", Step: "restart"}})
			d.do(ledger.Op{Reserve: &ledger.Reserve{Run: "restart.3", Step: "restart"}})
			d.wait(time.Second)
			d.is(d.chooses("restart.4", "tier", tier, s, "e"), ledger.Admitted, "")
		})
	}
}

func TestWhatDoesNotBelongIsHardlyEverCounted(t *testing.T) {
	d := newDesk(t)
	var members, strangers []string
	for i := range 1000 {
		members, strangers = append(members, fmt.Sprint("pod/shop/orders-", i)), append(strangers, fmt.Sprint("pod/shop/cart-", i))
	}
	for _, run := range []string{"restart.1", "restart.2"} {
		d.admitted(ledger.Admit{Run: run})
	}
	d.is(d.chooses("restart.1", "orders", members, ledger.Share{Count: 10}, members[:1]...), ledger.Admitted, "")
	d.is(d.chooses("restart.2", "cart", strangers, ledger.Share{Count: 1000}, strangers...), ledger.Admitted, "")
	packed, err := d.l.Pack()
	if err != nil || len(packed) > 20_000 {
		t.Errorf("%d bytes, %v", len(packed), err)
	}
}
