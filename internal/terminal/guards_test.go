package terminal

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// asked waits for people, one of whom has said yes.
func asked() run.Run {
	r := half()
	r.Phase, r.Override, r.Drill = run.Approving, []string{"cooldown"}, "hall.20260105"
	r.Approval = &run.Approval{
		Steps: []string{"release"}, Targets: []string{"backend/orders/1", "backend/\x1b[2J"}, Later: []string{"restart"}, By: []string{"oncall", "dba"}, Count: 2,
		AskedAt: start, Deadline: *at(600), State: run.Asked,
		Decisions: []run.Decision{{By: "ada", Approve: true, Reason: "seen it", At: *at(0.5)}},
	}
	return r
}

func standing() run.Run {
	r := half()
	r.Halted = "halted by eve: it makes it worse"
	return r
}

func queued() run.Run {
	r := half()
	r.Phase, r.Steps = run.Admitting, nil
	r.Admission = &run.Admission{State: ledger.Queued, Guard: ledger.GuardResource, Reason: "held by release.4f-0", Position: 3}
	return r
}

// answered has been through everything.
func answered() run.Run {
	r := asked()
	r.Steps, r.Events, r.Phase = nil, nil, run.Acting
	r.Approval.State = run.Denied
	r.Approval.Decisions = append(r.Approval.Decisions, run.Decision{By: "bob", Reason: "the replica is behind", At: *at(0.8)})
	r.Admission = &run.Admission{State: ledger.Admitted, Token: 7, Waited: "12s"}
	r.Autonomy = &run.Autonomy{Level: runbooks.Auto, Effective: runbooks.Approve, Why: []string{"no game day has proven it"}}
	r.Remedies = []run.Remedy{{ID: "gently", Outcome: run.NotFixed, Reason: "value < 0.7 did not come true in time"}}
	return r
}

func says() []api.GuardSays {
	return []api.GuardSays{
		{Name: "halt", State: ledger.Admitted}, {Name: "resource", Set: "postgres/orders", State: ledger.Queued, Reason: "held by a.1"},
		{Name: "rate", Set: "3 in 1h", State: ledger.Refused, Reason: "3 in the last 1h"}, {Name: "max_targets", Set: "2", Of: "engine"},
	}
}

func trustTexts() (lines []string) {
	for _, t := range []api.Trust{
		{Level: runbooks.Auto, Effective: runbooks.Auto, Proof: &runbooks.Standing{Holds: true, Reason: "proof 12 days old, 5 of 5", Recovery: model.Duration(41 * time.Second)}},
		{Level: runbooks.Auto, Effective: runbooks.Approve, Why: []string{"changed since its last game day"}, Proof: &runbooks.Standing{Reason: "changed since its last game day"}},
		{Level: runbooks.Propose, Effective: runbooks.Propose},
	} {
		lines = append(lines, TrustText(t))
	}
	return lines
}

func TestHaltIsOneHarmlessLine(t *testing.T) {
	text := Halt(ledger.Halt{By: "ada\x1b[2J", Reason: "it\nmakes it worse", At: start, Until: *at(7200)}, *at(60))
	want := "HALTED by ada\uFFFD[2J 1m00s ago: it makes it worse (until 2026-03-01 05:00:00 UTC, for another 1h59m)"
	if text != want {
		t.Errorf("%q, want %q", text, want)
	}
}
