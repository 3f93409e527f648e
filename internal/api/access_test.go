package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/run"
)

func holder(grants ...identity.Grant) identity.Identity {
	return identity.Identity{Name: "eve", Grants: grants}
}

func role(r identity.Role) identity.Grant { return identity.Grant{Roles: []identity.Role{r}} }

// below is somebody with the greatest role that is less than another.
func below(t *testing.T, need identity.Role) identity.Identity {
	t.Helper()
	lesser := map[identity.Role]identity.Role{
		identity.Viewer: identity.Alertmanager, identity.Operator: identity.Viewer,
		identity.Approver: identity.Operator, identity.Admin: identity.Approver,
	}
	r, known := lesser[need]
	if !known {
		t.Fatalf("no role is less than %q", need)
	}
	return holder(role(r))
}

// Each operation that the document of the interface has says which role it
// needs, lets those in who have it, and nobody else.
func TestEachOperationNeedsARole(t *testing.T) {
	b := newBench(t)
	doc, err := openapi3.NewLoader().LoadFromURI(mustURL(t, b.url+"/openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			operations++
			text, _ := op.Extensions["x-role"].(string)
			need := identity.Role(text)
			if op.Responses.Status(http.StatusForbidden) == nil {
				t.Errorf("%s does not say that it may be forbidden", op.OperationID)
			}
			request := strings.NewReplacer(api.Prefix, "", "{id}", "none.exec-none", "{name}", "none").Replace(path)
			for _, who := range []identity.Identity{{}, holder(role("oncall")), below(t, need)} {
				b.as(who)
				p := b.refused(method, request, map[string]any{}, http.StatusForbidden, api.CodeForbidden)
				if !strings.Contains(p.Detail, "lacks the role "+text) && len(who.Grants) > 0 && who.Grants[0].Roles[0] != "oncall" {
					t.Errorf("%s: the answer does not name the role: %s", op.OperationID, p.Detail)
				}
			}
			b.as(holder(role(need)))
			var ignored any
			if answer := b.send(method, request, map[string]any{}, &ignored); answer.StatusCode == http.StatusForbidden {
				t.Errorf("%s is refused to a %s", op.OperationID, need)
			}
		}
	}
	if denied := b.lines(audit.Denied); operations < 10 || len(denied) != 3*operations {
		t.Errorf("%d operations, %d audit lines of denials", operations, len(denied))
	}
}

// Who is limited to some targets starts runs, which touch no others.
func TestRolesAreLimitedToTargets(t *testing.T) {
	b := newBench(t)
	limited := identity.Grant{Roles: []identity.Role{identity.Operator}, Targets: []string{"meter/cellar", "meter/c*"}}
	b.as(holder(limited))
	r := b.await(b.start(api.Start{Runbook: "turn-up", Mode: "live"}).ID, ended)
	if got := b.meter.value.Load(); got != 0 || r.Outcome == run.Fixed || !strings.Contains(r.Steps[1].Reason, "meter/hall is not one of the targets") {
		t.Errorf("meter %d, %s: %+v", got, r.Outcome, r.Steps)
	}
	limited.Targets = []string{"meter/*"}
	b.as(holder(limited))
	r = b.await(b.start(api.Start{Runbook: "turn-up", Mode: "live"}).ID, ended)
	if got := b.meter.value.Load(); got != 2 || r.Outcome != run.Fixed {
		t.Errorf("meter %d, %s: %s", got, r.Outcome, r.OutcomeReason)
	}
}

func TestWhoMayNotLookSeesNothing(t *testing.T) {
	b := newBench(t)
	b.as(holder(role(identity.Alertmanager)))
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/nothing", "/runs/x/events"} {
		b.refused(http.MethodGet, path, nil, http.StatusForbidden, api.CodeForbidden)
	}
}

func TestRolesAreLimitedToRunbooks(t *testing.T) {
	b := newBench(t)
	limited := identity.Grant{Roles: []identity.Role{identity.Admin}, Runbooks: []string{"turn-*"}}
	b.as(holder(limited))
	b.await(b.start(api.Start{Runbook: "turn-up", Mode: "dry_run"}).ID, ended)
	for path, body := range map[string]any{
		"/runs":                    api.Start{Runbook: "slow", Mode: "dry_run"},
		"/runs/slow.exec-x/cancel": api.Cancel{}, "/runs/slow.exec-x/approve": api.Decide{Reason: "x"},
		"/resume": api.ResumeRequest{},
	} {
		b.refused(http.MethodPost, path, body, http.StatusForbidden, api.CodeForbidden)
	}
	b.refused(http.MethodPost, "/runs/turn-up.exec-none/cancel", api.Cancel{}, http.StatusNotFound, api.CodeNoSuchRun)
	if got := b.lines(audit.Denied); len(got) != 4 || got[0].Actor != "eve" {
		t.Errorf("audit: %+v", got)
	}
}
