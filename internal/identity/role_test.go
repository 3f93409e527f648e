package identity_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
)

var everyRole = []identity.Role{identity.Viewer, identity.Operator, identity.Approver, identity.Admin, identity.Alertmanager, "oncall"}

func with(grants ...identity.Grant) identity.Identity {
	return identity.Identity{Name: "ada", Grants: grants}
}

func only(roles ...identity.Role) identity.Grant { return identity.Grant{Roles: roles} }

func TestRolesIncludeThoseBelow(t *testing.T) {
	for _, c := range []struct {
		has  []identity.Role
		want string
	}{
		{nil, ""},
		{[]identity.Role{"viewer"}, "viewer"},
		{[]identity.Role{"operator"}, "viewer operator alertmanager"},
		{[]identity.Role{"approver"}, "viewer operator approver alertmanager"},
		{[]identity.Role{"admin"}, "viewer operator approver admin alertmanager"},
		{[]identity.Role{"alertmanager"}, "alertmanager"},
		{[]identity.Role{"viewer", "oncall"}, "viewer oncall"},
	} {
		var may []string
		for _, r := range with(only(c.has...)).Held("x", everyRole...) {
			may = append(may, string(r))
		}
		if got := strings.Join(may, " "); got != c.want {
			t.Errorf("%v may what %q may, want %q", c.has, got, c.want)
		}
	}
	if held := identity.Anything("local").Held("x", everyRole...); !slices.Equal(held, everyRole) {
		t.Errorf("the person at the machine has only %v", held)
	}
	if (identity.Identity{}).Has(identity.Viewer) == nil {
		t.Error("nobody may look")
	}
}

// A grant that is limited says nothing about what lies outside, whatever else
// the same person may do elsewhere.
func TestLimitsAreKeptApart(t *testing.T) {
	ada := with(only("viewer"), identity.Grant{Roles: []identity.Role{"operator", "oncall"}, Runbooks: []string{"pay-*", "cache"}},
		identity.Grant{Roles: []identity.Role{"approver"}, Runbooks: []string{"cache"}, Targets: []string{"pod/shop/*"}})
	for _, c := range []struct {
		role    identity.Role
		runbook string
		ok      bool
	}{
		{"viewer", "db", true}, {"operator", "db", false}, {"operator", "pay-out", true}, {"operator", "cache", true},
		{"approver", "pay-out", false}, {"approver", "cache", true}, {"oncall", "pay-out", true}, {"oncall", "db", false}, {"admin", "cache", false},
	} {
		err := ada.For(c.role, c.runbook)
		var denied *identity.Denied
		if (err == nil) != c.ok || (err != nil && (!errors.As(err, &denied) || denied.Need != c.role)) {
			t.Errorf("%s for %s: %v", c.role, c.runbook, err)
		}
	}
	if ada.Has("operator") != nil || ada.Everywhere("operator") == nil || ada.Everywhere("viewer") != nil || ada.Everywhere("alertmanager") == nil {
		t.Error("a limited role is taken for one without limits, or the other way round")
	}
	if got := ada.Targets("operator", "pay-out"); got != nil {
		t.Errorf("targets of an unlimited grant are limited to %q", got)
	}
	if got := ada.Targets("approver", "cache"); fmt.Sprint(got) != "[pod/shop/*]" || !identity.Matches(got, "pod/shop/a") || identity.Matches(got, "pod/pay/a") {
		t.Errorf("targets: %q", got)
	}
	if got := ada.Targets("approver", "db"); got == nil || identity.Matches(got, "pod/shop/a") {
		t.Errorf("without the role every target fits: %q", got)
	}
}

func TestEntriesWithoutRolesAreOperators(t *testing.T) {
	c := identity.Config{Tokens: []identity.Token{{Name: "old", File: file(t, "x")}}}
	d := newDesk(t, func(log *slog.Logger) *identity.Authenticator { return identity.New(c, false, log) })
	if got := d.ask(http.MethodGet, http.StatusOK, append(bearer("x"), "X-Roles", "yes")...); got != "viewer operator alertmanager" {
		t.Errorf("it may what %q may", got)
	}
}

func TestGrantsThatMeanNothingAreReported(t *testing.T) {
	secret := file(t, "x")
	c := identity.Config{
		Tokens: []identity.Token{
			{Name: "a", File: secret, Roles: []identity.Role{"oncall"}},
			{Name: "b", File: secret, Runbooks: []string{"[a"}},
			{Name: "c", File: secret, Roles: []identity.Role{"alertmanager"}, Runbooks: []string{"x"}},
			{Name: "d", File: secret, Roles: []identity.Role{"approver", "oncall"}, Runbooks: []string{"x-*"}, Targets: []string{"pod/*/*"}},
		},
		Certificates: []identity.Certificate{{Name: "d"}},
		OIDC:         &identity.OIDC{Issuer: "http://login.example", Audience: "runbook"},
	}
	err := c.Check()
	if err == nil {
		t.Fatal("nothing was found")
	}
	for i, want := range []string{"a: roles oncall give nothing", `b: "[a" is no glob`, "c: the role alertmanager can not be limited", `"d" is used twice`, "is no https URL"} {
		if !strings.Contains(strings.Split(err.Error(), "\n")[i], want) {
			t.Errorf("problem %d is not %q: %v", i, want, err)
		}
	}
}

func TestADeniedRequestIsRecorded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	record, err := audit.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer record.Close()
	gate := identity.Require(identity.Alertmanager, record, slog.New(slog.DiscardHandler), http.HandlerFunc(whoami))
	ask := func(who identity.Identity) (int, string) {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/webhook", nil)
		gate.ServeHTTP(answer, r.WithContext(identity.NewContext(r.Context(), who)))
		text, _ := io.ReadAll(answer.Body)
		return answer.Code, string(text)
	}
	if code, text := ask(with(only("alertmanager"))); code != http.StatusOK {
		t.Errorf("%d %s", code, text)
	}
	for _, who := range []identity.Identity{with(only("viewer")), with(identity.Grant{Roles: []identity.Role{"operator"}, Runbooks: []string{"x"}}), {}} {
		if code, text := ask(who); code != http.StatusForbidden || !strings.Contains(text, "lacks the role alertmanager") {
			t.Errorf("%v: %d %s", who, code, text)
		}
	}
	kept, err := os.ReadFile(path)
	if err != nil || strings.Count(string(kept), "\n") != 3 || !strings.Contains(string(kept), `"kind":"denied","actor":"ada","decision":"POST /webhook","error":"ada lacks the role alertmanager for all runbooks"`) {
		t.Errorf("audit: %v\n%s", err, kept)
	}
}
