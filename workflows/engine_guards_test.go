package workflows_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/api/serviceerror"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// keepsLedger gives the bench a ledger, until the test ends.
func (b *bench) keepsLedger() *admission.Client { return b.keepsLedgerWithin(ledger.Limits{}) }

func (b *bench) keepsLedgerWithin(limits ledger.Limits) *admission.Client {
	b.t.Helper()
	limits.Lease = model.Duration(30 * time.Second)
	keeper := admission.New(b.client, b.queue, func() ledger.Limits { return limits })
	b.ledger = keeper
	b.again()
	if err := keeper.Ensure(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	c := temporaltest.Dial(b.t, server)
	b.t.Cleanup(func() {
		var none *serviceerror.NotFound
		if err := c.TerminateWorkflow(context.Background(), workflows.LedgerID, "", "the test is over"); err != nil && !errors.As(err, &none) {
			b.t.Error(err)
		}
	})
	return keeper
}

// again starts the worker anew, with what the bench has by now.
func (b *bench) again() {
	b.worker.Stop()
	b.work()
}

func (b *bench) asks(g runbooks.EngineGuards) *bench {
	b.engine = g
	b.again()
	return b
}

func lights(guards string) string {
	return head + "guards: {" + guards + "}\nsteps: [{id: light, do: lamp.light, with: {prefix: a}}]\n" + verified
}

// The stricter of engine and runbook holds, and the refusal says which it was.
func TestTheEngineAndTheRunbookBothHoldARunBack(t *testing.T) {
	t.Parallel()
	count := func(n int) *runbooks.MaxTargets { return &runbooks.MaxTargets{Count: n} }
	for name, c := range map[string]struct {
		engine runbooks.EngineGuards
		guards string
		reason string // "" where it acts
	}{
		"targets: engine":       {runbooks.EngineGuards{MaxTargets: count(1)}, "max_targets: {count: 3}", "2 targets selected, guards.max_targets of the engine allows 1"},
		"targets: runbook":      {runbooks.EngineGuards{MaxTargets: count(3)}, "max_targets: {count: 1}", "2 targets selected, guards.max_targets of the runbook allows 1"},
		"targets: engine alone": {runbooks.EngineGuards{MaxTargets: &runbooks.MaxTargets{Percent: 40}}, "", "2 of 4 targets selected, guards.max_targets of the engine allows 40 %"},
		"healthy: engine":       {runbooks.EngineGuards{MinHealthy: &runbooks.MinHealthy{Count: 3}}, "min_healthy: {count: 1}", "2 of 4 would stay healthy, guards.min_healthy of the engine asks for 3"},
		"healthy: runbook":      {runbooks.EngineGuards{MinHealthy: &runbooks.MinHealthy{Count: 1}}, "min_healthy: {percent: 60}", "2 of 4 would stay healthy, guards.min_healthy of the runbook asks for 60 %"},
		"both content":          {runbooks.EngineGuards{MaxTargets: count(2), MinHealthy: &runbooks.MinHealthy{Count: 2}}, "max_targets: {percent: 50}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "a1", "a2", "b1", "b2").asks(c.engine)
			r := b.do(lights(c.guards))
			if c.reason == "" {
				if did := b.house.log(); r.Outcome != run.Fixed || len(did) != 2 {
					t.Errorf("%s: %s", did, describe(r))
				}
				return
			}
			b.expectStep(r, "light", run.Failed, "refused: "+c.reason)
			if did := b.house.log(); len(did) > 0 {
				t.Errorf("acted nevertheless: %s", did)
			}
		})
	}
}

// A step that names one thing is a population of one: percentages say nothing
// about it.
func TestPercentagesOfTheEngineAreForStepsThatChoose(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall").asks(runbooks.EngineGuards{MaxTargets: &runbooks.MaxTargets{Count: 5, Percent: 50}, MinHealthy: &runbooks.MinHealthy{Percent: 90}})
	b.expect(b.do(head+"steps: [{id: smash, do: lamp.smash, with: {name: hall}}]\n"+verified), run.Fixed, "light hall")
}

func TestTheEngineLimitsErrorsToo(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a1", "a2", "a3", "a4").asks(runbooks.EngineGuards{MaxErrors: 2})
	for _, name := range []string{"a1", "a2", "a3"} {
		b.house.refuse[name] = actions.Permanent(errors.New("no fuse"))
	}
	r := b.do(lights("max_errors: 4, batch: {size: 1}"))
	if got := len(r.Steps[0].Results); got != 2 || !strings.Contains(r.Steps[0].Reason, "2 targets left untouched, because guards.max_errors of the engine is 2") {
		t.Errorf("%d targets were tried: %s", got, describe(r))
	}
}

func TestTheEngineAndTheRunbookBothAskForConsent(t *testing.T) {
	t.Parallel()
	policy := &runbooks.ApprovalPolicy{At: "reversible", By: []string{"oncall"}, Count: 1, Within: model.Duration(time.Minute), Otherwise: "escalate"}
	t.Run("the engine alone", func(t *testing.T) {
		b := newBench(t, "hall").asks(runbooks.EngineGuards{Approve: policy})
		id := b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n" + verified))
		b.asked(id)
		b.decide(id, workflows.Decision{By: "bob", Roles: []string{"oncall"}, Approve: true, Reason: "go"})
		b.expect(b.wait(id), run.Fixed, "light hall")
	})
	t.Run("both", func(t *testing.T) {
		b := newBench(t, "hall").asks(runbooks.EngineGuards{Approve: policy})
		id := b.start(b.plan(consent("by: [dba], count: 2, within: 2m, otherwise: skip")))
		r := b.asked(id)
		if a := r.Approval; a.Count != 2 || a.Deadline.Sub(a.AskedAt) != time.Minute || a.Roles() != "dba, who is also oncall" {
			t.Errorf("asked %+v", a)
		}
		for _, d := range []workflows.Decision{
			{By: "eve", Roles: []string{"dba"}, Approve: true},
			{By: "fay", Roles: []string{"oncall"}, Approve: true},
			{By: "bob", Roles: []string{"dba", "oncall"}, Approve: true, Reason: "yes"},
		} {
			b.decide(id, d)
		}
		r = b.until(id, func(r run.Run) bool { return len(r.Approval.Decisions) == 1 })
		if len(b.house.log()) > 0 || strings.Count(describe(r), "may not consent: it takes dba, who is also oncall") != 2 {
			t.Errorf("one role was enough: %s", describe(r))
		}
		b.decide(id, workflows.Decision{By: "cyd", Roles: []string{"oncall", "dba"}, Approve: true, Reason: "go"})
		b.expect(b.wait(id), run.Fixed, "light hall")
	})
	t.Run("nobody answers the engine", func(t *testing.T) {
		short := *policy
		short.Within = model.Duration(time.Second)
		b := newBench(t, "hall").asks(runbooks.EngineGuards{Approve: &short})
		b.expect(b.do(head+"steps: [{id: light, do: lamp.light, with: {prefix: ha}}]\n"+verified), run.Skipped)
		told := b.told(workflows.EscalationAlert)
		if len(told) != 1 || told[0].Annotations["summary"] != "runbook lights needs a person: nobody consented within 1s" || told[0].Labels["severity"] != "page" {
			t.Errorf("told %+v", told)
		}
	})
}

func TestTheEngineHasACooldownAndRatesOfItsOwn(t *testing.T) {
	t.Run("cooldown", func(t *testing.T) {
		b := newBench(t, "a1")
		b.engine = runbooks.EngineGuards{Cooldown: model.Duration(time.Hour)}
		b.keepsLedger()
		b.expect(b.do(lights("cooldown: 1s")), run.Fixed, "light a1")
		if r := b.do(lights("cooldown: 1s")); r.Outcome != run.Skipped || !strings.Contains(r.OutcomeReason, "refused by cooldown") || !strings.Contains(r.OutcomeReason, "by the guards of the engine") {
			t.Errorf("%s", describe(r))
		}
		if r := b.do(lights("cooldown: 2h")); !strings.Contains(r.OutcomeReason, "by the guards of the runbook") {
			t.Errorf("%s", describe(r))
		}
	})
	t.Run("rate per target", func(t *testing.T) {
		b := newBench(t, "a1")
		b.engine = runbooks.EngineGuards{RatePerTarget: []ledger.Rate{{N: 1, Per: model.Duration(time.Hour)}}}
		b.keepsLedger()
		b.expect(b.do(lights("rate_per_target: [9/h]")), run.Fixed, "light a1")
		b.expectStep(b.do(lights("rate_per_target: [9/h]")), "light", run.Failed, "by the guards of the engine; 1 of 1 targets untouched")
		if did := b.house.log(); len(did) != 1 {
			t.Errorf("acted twice: %s", did)
		}
	})
}
