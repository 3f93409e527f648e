package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
)

const careful = `
runbook: careful
summary: Turn the meter up, with the consent of two.
guards: {approve: {at: disruptive, by: [oncall], count: 2, within: 1h, otherwise: skip}}
steps:
  - {id: add, do: meter.add}
verify: {do: meter.read, until: value >= 1, every: 100ms, within: 5s}
`

func named(name string, grants ...identity.Grant) identity.Identity {
	return identity.Identity{Name: name, Grants: grants}
}

func asked(r run.Run) bool { return r.Approval != nil && r.Approval.State == run.Asked }

// ask starts a run by grace, who is on call herself, that asks for consent.
func (b *bench) ask() string {
	b.t.Helper()
	b.load(documents + "---" + careful)
	b.as(named("grace", role(identity.Approver), role("oncall")))
	id := b.start(api.Start{Runbook: "careful", Mode: "live"}).ID
	b.await(id, asked)
	return id
}

func (b *bench) answer(id, what string, who identity.Identity, reason string) {
	b.t.Helper()
	b.as(who)
	var ignored api.Started
	if answer := b.send(http.MethodPost, "/runs/"+id+"/"+what, api.Decide{Reason: reason}, &ignored); answer.StatusCode != http.StatusAccepted {
		b.t.Fatalf("%s by %s: %s", what, who.Name, answer.Status)
	}
}

// waits looks for a run in the list, which may be a little behind.
func (b *bench) waits(id, what string) {
	b.t.Helper()
	var rows []runs.Row
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		b.send(http.MethodGet, "/runs?running=true", nil, &rows)
		if slices.ContainsFunc(rows, func(r runs.Row) bool { return r.ID == id && strings.HasPrefix(r.WaitsFor, what) }) {
			return
		}
	}
	b.t.Errorf("%s does not wait for %q: %+v", id, what, rows)
}

func TestConsentIsGivenByThoseWhoMay(t *testing.T) {
	b := newBench(t)
	id := b.ask()
	b.waits(id, "consent to add by oncall, 0 of 2, until ")
	path := "/runs/" + id + "/approve"
	onCall := identity.Grant{Roles: []identity.Role{identity.Approver, "oncall"}}
	elsewhere, other := onCall, onCall
	elsewhere.Runbooks, other.Targets = []string{"turn-*"}, []string{"meter/cellar"}
	atHome := identity.Grant{Roles: []identity.Role{identity.Viewer, "oncall"}, Targets: other.Targets}
	for _, c := range []struct {
		who  identity.Identity
		want string
	}{
		{named("grace", onCall), "grace started this run"},
		{named("eve", role(identity.Admin)), "lacks the role oncall"},
		{named("eve", role("oncall")), "lacks the role"},
		{named("eve", elsewhere), "lacks the role approver for runbook careful"},
		{named("eve", other), "lacks the role approver for target meter/hall"},
		{named("eve", role(identity.Approver), atHome), "lacks the role oncall for runbook careful and its targets"},
	} {
		b.as(c.who)
		p := b.refused(http.MethodPost, path, api.Decide{Reason: "x"}, http.StatusForbidden, api.CodeForbidden)
		if !strings.Contains(p.Detail, c.want) {
			t.Errorf("%v: %s", c.who, p.Detail)
		}
	}
	b.as(named("ada", onCall))
	b.refused(http.MethodPost, path, api.Decide{}, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.refused(http.MethodPost, path, api.Decide{Reason: "  "}, http.StatusUnprocessableEntity, api.CodeInvalid)
	b.answer(id, "approve", named("ada", onCall), "seen it")
	b.await(id, func(r run.Run) bool { return len(r.Approval.Decisions) == 1 })
	b.refused(http.MethodPost, path, api.Decide{Reason: "again"}, http.StatusForbidden, api.CodeForbidden)
	if got := b.meter.value.Load(); got != 0 {
		t.Errorf("with one of two consents the meter is at %d", got)
	}
	here := onCall
	here.Targets = []string{"meter/*"}
	b.answer(id, "approve", named("bob", here), "me too")
	r := b.await(id, ended)
	if d := r.Approval.Decisions; d[0].Limited || !d[1].Limited {
		t.Errorf("whose consent is for the targets alone: %+v", d)
	}
	if r.Outcome != run.Fixed || b.meter.value.Load() != 1 || r.Approval.State != run.Approved {
		t.Errorf("%s, meter %d, %+v", r.Outcome, b.meter.value.Load(), r.Approval)
	}
	b.refused(http.MethodPost, path, api.Decide{Reason: "late"}, http.StatusConflict, api.CodeNotAsked)
	got := b.lines(audit.Answered)
	if len(got) != 2 || got[0].Actor != "ada" || got[0].Reason != "seen it" || got[0].Decision != "approve" || got[0].Run != id {
		t.Errorf("audit: %+v", got)
	}
	if denied := b.lines(audit.Denied); len(denied) != 7 {
		t.Errorf("%d denials are recorded, want 7: %+v", len(denied), denied)
	}
}

// Whoever has asked may also take it back.
func TestOneNoSuffices(t *testing.T) {
	b := newBench(t)
	id := b.ask()
	b.answer(id, "deny", named("grace", role(identity.Approver)), "not now")
	r := b.await(id, ended)
	if r.Outcome == run.Fixed || b.meter.value.Load() != 0 || r.Approval.State != run.Denied {
		t.Errorf("%s, meter %d, %+v", r.Outcome, b.meter.value.Load(), r.Approval)
	}
	p := b.refused(http.MethodPost, "/runs/"+id+"/deny", api.Decide{Reason: "x"}, http.StatusConflict, api.CodeNotAsked)
	if !strings.Contains(p.Detail, "denied by grace") {
		t.Errorf("detail: %s", p.Detail)
	}
}

func TestConsentThatCanNotBeRecordedIsNotGiven(t *testing.T) {
	b := newBench(t)
	id := b.ask()
	b.breakAudit()
	b.as(named("ada", role(identity.Approver), role("oncall")))
	b.refused(http.MethodPost, "/runs/"+id+"/approve", api.Decide{Reason: "x"}, http.StatusServiceUnavailable, api.CodeAudit)
	b.answer(id, "deny", named("ada", role(identity.Approver)), "no")
	b.await(id, func(r run.Run) bool { return r.Approval.State == run.Denied })
}

// Where nobody has to say who they are nobody can consent to what was started by
// hand: the answer says so, and a way out.
func TestWithoutAuthenticationTheAnswerSaysHowToGoOn(t *testing.T) {
	b := newBench(t)
	b.load(documents + "---" + careful)
	local := named(identity.Local, identity.Grant{Roles: []identity.Role{identity.Admin, "oncall"}})
	b.as(local)
	id := b.start(api.Start{Runbook: "careful", Mode: "live"}).ID
	b.await(id, asked)
	p := b.refused(http.MethodPost, "/runs/"+id+"/approve", api.Decide{Reason: "x"}, http.StatusForbidden, api.CodeForbidden)
	for _, want := range []string{"everybody is local", "--override approval", "auth"} {
		if !strings.Contains(p.Detail, want) {
			t.Errorf("%q is not in %q", want, p.Detail)
		}
	}
	b.answer(id, "deny", local, "as told")
	b.await(id, ended)
}
