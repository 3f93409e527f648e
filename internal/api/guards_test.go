package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

const trusted = `
runbook: locked
summary: Turn the meter up, one at a time.
autonomy: {level: auto, proof: {max_age: 30d}}
guards: {resource: meter/hall, cooldown: 10m, rate: [1/h, 5/d], max_targets: {count: 2}, approve: {at: destructive, by: [oncall], count: 2, otherwise: skip}}
steps: [{id: add, do: meter.add}]
verify: {do: meter.read, until: value >= 1, every: 100ms, within: 5s}
`

func (b *bench) tell(op ledger.Op) ledger.Answer {
	b.t.Helper()
	answer, err := b.ledger.Apply(b.t.Context(), op)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer
}

func (b *bench) says() map[string]api.GuardSays {
	b.t.Helper()
	var list []api.GuardSays
	b.send(http.MethodPost, "/plan", api.Plan{Runbook: "locked"}, &list)
	says := map[string]api.GuardSays{}
	for _, g := range list {
		says[g.Name+" "+g.Set] = g
	}
	return says
}

// The answers are those that the ledger gives when it is asked, and asking for
// them books nothing.
func TestAPlanSaysWhatTheGuardsWouldSay(t *testing.T) {
	b := newBench(t)
	b.load(documents + "---" + trusted)
	b.limits.Rate = []ledger.Rate{wide}
	b.as(holder(role(identity.Viewer)))
	expect := func(name string, state ledger.State, reason string) {
		t.Helper()
		if g, there := b.says()[name]; !there || g.State != state || !strings.Contains(g.Reason, reason) {
			t.Errorf("%s says %+v, want %s (…%s…): %v", name, g, state, reason, b.says())
		}
	}
	for _, name := range []string{"halt ", "concurrency 1 runs", "resource meter/hall", "cooldown 10m", "rate 1 in 1h", "rate 5 in 1d", "rate 1 in 2h"} {
		expect(name, ledger.Admitted, "")
	}
	expect("max_targets 2", "", "")
	expect("max_targets 7", "", "")
	if says := b.says(); says["max_targets 7"].Of != "engine" || says["max_targets 2"].Of != "runbook" || says["cooldown 10m"].Of != "runbook" {
		t.Errorf("whose the guards are: %+v", says)
	}
	expect("approval 2 with the role oncall, from destructive on, within 10m", "", "")

	admit := &ledger.Admit{
		Run: "locked.exec-1", Runbook: "locked", Source: "exec", Resource: "meter/hall", Cooldown: model.Duration(10 * time.Minute),
		Rate: []ledger.Rate{{N: 1, Per: model.Duration(time.Hour)}},
	}
	if answer := b.tell(ledger.Op{Admit: admit}); answer.State != ledger.Admitted {
		t.Fatalf("a plan has booked something: %+v", answer)
	}
	expect("resource meter/hall", ledger.Queued, "held by locked.exec-1")
	expect("concurrency 1 runs", ledger.Queued, "1 runs act now")
	expect("rate 1 in 1h", ledger.Refused, "1 in the last 1h")
	expect("rate 5 in 1d", ledger.Admitted, "1 in the last 1d")
	expect("rate 1 in 2h", ledger.Refused, "1 in the last 2h")
	if of := b.says()["rate 1 in 2h"].Of; of != "engine" {
		t.Errorf("the rate of all runbooks is of the %s", of)
	}

	second := *admit
	second.Run = "locked.exec-2"
	if answer := b.tell(ledger.Op{Admit: &second}); answer.State != ledger.Queued || answer.Guard != ledger.GuardResource {
		t.Errorf("the ledger itself says %+v", answer)
	}
	var queue []api.Waiting
	b.send(http.MethodGet, "/queue", nil, &queue)
	if len(queue) != 1 || queue[0].ID != "locked.exec-2" || queue[0].Guard != ledger.GuardResource || queue[0].Reason == "" {
		t.Errorf("queue: %+v", queue)
	}
	b.tell(ledger.Op{Release: &ledger.Release{Run: "locked.exec-2"}})
	b.tell(ledger.Op{Release: &ledger.Release{Run: "locked.exec-1", Acted: true}})
	expect("cooldown 10m", ledger.Refused, "left")
	if _, err := b.halt.Halt("ada", "enough", time.Time{}); err != nil {
		t.Fatal(err)
	}
	expect("halt ", ledger.Queued, "halted by ada: enough")
}

func TestTrustSaysWhatLowersIt(t *testing.T) {
	b := newBench(t)
	b.load(documents + "---" + trusted)
	find := func() api.Trust {
		t.Helper()
		var list []api.Trust
		b.send(http.MethodGet, "/trust", nil, &list)
		for _, one := range list {
			if one.Name == "locked" {
				return one
			}
		}
		t.Fatalf("the runbook is not in the list: %+v", list)
		return api.Trust{}
	}
	if got := find(); got.Level != runbooks.Auto || got.Effective != runbooks.Approve || got.Proof == nil || got.Proof.Reason != "no game day has proven it" {
		t.Errorf("without a proof: %+v", got)
	}
	rb, _ := b.set.Load().Get("locked")
	for i := range 3 {
		b.tell(ledger.Op{Prove: &ledger.Proof{
			Runbook: "locked", Digest: rb.Digest(), Gameday: "drill", Verdict: "passed",
			At: time.Now().Add(time.Duration(i-12) * 24 * time.Hour), Recovery: model.Duration(41 * time.Second),
		}})
	}
	got := find()
	if got.Effective != runbooks.Auto || !strings.Contains(got.Proof.Reason, "3 of 3") || got.Proof.Recovery != model.Duration(41*time.Second) {
		t.Errorf("with proofs: %+v %+v", got, got.Proof)
	}
	b.open = func(time.Time) bool { return true }
	if got := find(); got.Effective != runbooks.Propose || len(got.Why) != 1 || !strings.Contains(got.Why[0], "window freeze") {
		t.Errorf("in a freeze: %+v", got)
	}
	b.open = func(time.Time) bool { return false }
	b.load(documents + "---" + strings.Replace(trusted, "value >= 1", "value >= 2", 1))
	if got := find(); got.Effective != runbooks.Approve || !strings.Contains(strings.Join(got.Why, " "), "changed since its last game day") {
		t.Errorf("changed: %+v", got)
	}
}

func TestWindowsSayWhenTheyChange(t *testing.T) {
	b := newBench(t)
	minute := time.Now().Truncate(time.Minute)
	opens, closes := minute.Add(3*time.Hour), minute.Add(49*time.Hour)
	b.open = func(at time.Time) bool { return !at.Before(opens) && at.Before(closes) }
	var list []api.Window
	b.send(http.MethodGet, "/windows", nil, &list)
	if len(list) != 1 || list[0].Name != "freeze" || list[0].Open || !list[0].Opens.Equal(opens) {
		t.Errorf("closed: %+v", list)
	}
	opens = minute.Add(-time.Hour)
	b.send(http.MethodGet, "/windows", nil, &list)
	if !list[0].Open || !list[0].Closes.Equal(closes) {
		t.Errorf("open: %+v", list)
	}
}

func TestTheStormBreakerIsReset(t *testing.T) {
	b := newBench(t)
	b.limits.Storm = ledger.Storm{Runs: 1, Within: model.Duration(time.Hour)}
	reset := api.StormReset{Backlog: "skip", Reason: "a test"}
	b.refused(http.MethodPost, "/storm/reset", reset, http.StatusConflict, api.CodeNoStorm)
	b.refused(http.MethodPost, "/storm/reset", api.StormReset{Backlog: "all", Reason: "x"}, http.StatusUnprocessableEntity, api.CodeInvalid)
	for _, id := range []string{"a.1", "b.2", "c.3"} {
		b.tell(ledger.Op{Admit: &ledger.Admit{Run: id, Runbook: id[:1], Source: "alert"}})
	}
	status := func() (s api.Status) {
		b.send(http.MethodGet, "/status", nil, &s)
		return s
	}
	within(t, "the breaker to open", func() bool { return status().Storm != nil })
	var answer api.Status
	b.send(http.MethodPost, "/storm/reset", reset, &answer)
	within(t, "the breaker to close", func() bool { return status().Storm == nil })
	got := b.lines(audit.Switched)
	if last := got[len(got)-1]; len(got) != 1 || last.Actor != actor || last.Reason != "a test" || last.Decision != "reset storm, skip backlog" {
		t.Errorf("audit: %+v", got)
	}
}

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Only admins set guards aside, with a reason, and never the kill switch.
func TestOverride(t *testing.T) {
	b := newBench(t)
	ask := api.Start{Runbook: "turn-up", Mode: "live", Override: []string{"cooldown", "rate"}, Reason: "INC-1"}
	b.as(named("eve", role(identity.Approver)))
	b.refused(http.MethodPost, "/runs", ask, http.StatusForbidden, api.CodeForbidden)
	b.as(named("ada", role(identity.Admin)))
	for _, bad := range []api.Start{
		{Runbook: "turn-up", Mode: "live", Override: []string{"halt"}, Reason: "x"},
		{Runbook: "turn-up", Mode: "live", Override: []string{"rate"}, Reason: " "},
	} {
		b.refused(http.MethodPost, "/runs", bad, http.StatusUnprocessableEntity, api.CodeInvalid)
	}
	r := b.await(b.start(ask).ID, ended)
	if strings.Join(r.Override, " ") != "cooldown rate" {
		t.Errorf("override: %q", r.Override)
	}
	got := b.lines(audit.Decision)
	if last := got[len(got)-1]; last.Decision != "start live, sets aside cooldown, rate" || last.Reason != "INC-1" || last.Actor != "ada" {
		t.Errorf("audit: %+v", got)
	}
}
