package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/workflows"
)

// Decide is a person's answer to a run that asks for consent.
type Decide struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why, for the record."`
}

type decideInput struct {
	ID   string `path:"id" maxLength:"200" doc:"NAME.EPISODE."`
	Body Decide
}

func (s *server) decisions() {
	problems := []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable}
	approve := operation("approve-run", http.MethodPost, "/runs/{id}/approve", "Consent to what a run asks for", problems...)
	approve.DefaultStatus = http.StatusAccepted
	huma.Register(s.api, approve, func(ctx context.Context, in *decideInput) (*cancelOutput, error) { return s.decide(ctx, in, true) })
	deny := operation("deny-run", http.MethodPost, "/runs/{id}/deny", "Refuse what a run asks for", problems...)
	deny.DefaultStatus = http.StatusAccepted
	huma.Register(s.api, deny, func(ctx context.Context, in *decideInput) (*cancelOutput, error) { return s.decide(ctx, in, false) })
}

func (s *server) decide(ctx context.Context, in *decideInput, approve bool) (*cancelOutput, error) {
	if err := inWords(in.Body.Reason); err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	r, err := s.Runs.Get(ctx, in.ID)
	if err != nil {
		return nil, s.failed(err)
	}
	if r.Approval == nil || r.Approval.State != run.Asked || r.Status == run.Ended {
		return nil, problem(http.StatusConflict, CodeNotAsked, fmt.Sprintf("run %s does not ask for consent now%s", in.ID, lastAnswer(r)))
	}
	who := identity.FromContext(ctx)
	if approve {
		if err := mayConsent(who, r); err != nil {
			return nil, s.denied(ctx, "approve "+in.ID, err)
		}
	}
	d := workflows.Decision{By: who.Name, Roles: rolesFor(who, r), Approve: approve, Limited: limited(who, r), Reason: in.Body.Reason}
	if err := s.recordAnswer(r, d); err != nil {
		return nil, err
	}
	if err := s.Runs.Decide(ctx, in.ID, d); err != nil {
		return nil, s.failed(err)
	}
	return &cancelOutput{Started{ID: in.ID}}, nil
}

func lastAnswer(r run.Run) string {
	if r.Approval == nil || r.Approval.State == run.Asked {
		return ""
	}
	text := ": it was " + string(r.Approval.State)
	if n := len(r.Approval.Decisions); n > 0 {
		text += " by " + r.Approval.Decisions[n-1].By
	}
	return text
}

// mayConsent checks what only the run knows: who asked, which roles it wants,
// and what it would touch. That they are an approver is known already.
func mayConsent(who identity.Identity, r run.Run) error {
	answered := slices.ContainsFunc(r.Approval.Decisions, func(d run.Decision) bool { return d.By == who.Name })
	switch {
	case who.Name == r.Actor && NobodyElse(r) != "":
		return errors.New(NobodyElse(r))
	case who.Name == r.Actor:
		return fmt.Errorf("%s started this run, and can not consent to it; another person with the role %s can", who.Name, r.Approval.Roles())
	case answered:
		return fmt.Errorf("%s has answered already; it takes %d different people", who.Name, r.Approval.Count)
	}
	if target := beyond(who, identity.Approver, r); target != "" {
		return &identity.Denied{Who: who.Name, Need: identity.Approver, Scope: "for target " + target}
	}
	if !r.Approval.Lets(rolesFor(who, r)) {
		return &identity.Denied{Who: who.Name, Need: identity.Role(r.Approval.Roles()), Scope: "for runbook " + r.Runbook + " and its targets"}
	}
	return nil
}

// beyond is the first target of a question that a role of theirs is not for, or "".
func beyond(who identity.Identity, role identity.Role, r run.Run) string {
	limits := who.Targets(role, r.Runbook)
	for _, target := range r.Approval.Targets {
		if limits != nil && !identity.Matches(limits, target) {
			return target
		}
	}
	return ""
}

// limited reports that a role by which they may consent is for some targets only:
// what a later step touches was not shown, and may be none of them.
func limited(who identity.Identity, r run.Run) bool {
	used := append(asRoles(slices.Concat(r.Approval.By, r.Approval.Also)), identity.Approver)
	return slices.ContainsFunc(who.Held(r.Runbook, used...), func(role identity.Role) bool { return who.Targets(role, r.Runbook) != nil })
}

// NobodyElse is why nobody can consent to a run, with the way out, or "": where
// nobody has to say who they are, all are one.
func NobodyElse(r run.Run) string {
	if r.Actor != identity.Local {
		return ""
	}
	return "without authentication everybody is " + identity.Local + ", and " + identity.Local + " started this run: nobody else is there to consent to it. " +
		"Deny it, and start it again with --override approval --reason …, or configure auth"
}

func asRoles(names []string) []identity.Role {
	roles := make([]identity.Role, len(names))
	for i, name := range names {
		roles[i] = identity.Role(name)
	}
	return roles
}

// rolesFor are those that the run may look at: they are for all its targets.
func rolesFor(who identity.Identity, r run.Run) []string {
	candidates := append(asRoles(slices.Concat(r.Approval.By, r.Approval.Also)), identity.Viewer, identity.Operator, identity.Approver, identity.Admin)
	var names []string
	for _, role := range who.Held(r.Runbook, candidates...) {
		if !slices.Contains(names, string(role)) && beyond(who, role, r) == "" {
			names = append(names, string(role))
		}
	}
	return names
}

// recordAnswer: a no counts also where it can not be written down.
func (s *server) recordAnswer(r run.Run, d workflows.Decision) error {
	e := audit.Entry{Kind: audit.Answered, Actor: d.By, Reason: d.Reason, Run: r.ID, Runbook: r.Runbook, Digest: r.Digest, Decision: "deny"}
	if d.Approve {
		e.Decision = "approve"
	}
	err := s.Audit.Write(e)
	if err == nil {
		return nil
	}
	s.Log.Error("the audit line of a decision is lost", "error", err, "run", r.ID)
	if !d.Approve {
		return nil
	}
	return problem(http.StatusServiceUnavailable, CodeAudit, "the consent can not be recorded, so it is not given: "+err.Error())
}
