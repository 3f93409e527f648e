package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

// Plan asks what a run would meet.
type Plan struct {
	Runbook string         `json:"runbook" maxLength:"63" doc:"Name."`
	Params  map[string]any `json:"params,omitempty" maxProperties:"100" doc:"Parameters by name."`
}

// GuardSays is one guard, and what it would say to a run now.
type GuardSays struct {
	Name   string       `json:"name"`
	Set    string       `json:"set,omitempty" doc:"What the runbook or the engine asks for."`
	Of     string       `json:"of,omitempty" enum:"runbook,engine" doc:"Whose guard it is, where both can have it. Those of both hold."`
	State  ledger.State `json:"state,omitempty" enum:"admitted,queued,refused" doc:"What it would say now; absent where only the run itself can tell."`
	Reason string       `json:"reason,omitempty"`
}

type (
	planInput  struct{ Body Plan }
	planOutput struct{ Body []GuardSays }
)

func (s *server) plans() {
	op := operation("plan-run", http.MethodPost, "/plan", "Which guards a run by hand would meet, and what they would say now; nothing is asked or booked",
		http.StatusNotFound, http.StatusServiceUnavailable)
	huma.Register(s.api, op, s.planRun)
}

func (s *server) planRun(ctx context.Context, in *planInput) (*planOutput, error) {
	rb, err := s.find(in.Body.Runbook)
	if err != nil {
		return nil, err
	}
	who := identity.FromContext(ctx)
	plan, err := planOf(rb, Start{Runbook: rb.Runbook, Params: in.Body.Params, Mode: runbooks.ModeDryRun}, who.Name)
	if err != nil {
		return nil, err
	}
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	p := preview{plan: &plan, ledger: snapshot, limits: s.Guards, each: s.Each, now: time.Now()}
	resource, err := runbooks.NewEvaluator(s.Catalog).Resource(&plan, runbooks.Moment{Now: p.now})
	if err != nil {
		p.add(ledger.GuardResource, plan.Document.Guards.Resource, ledger.Refused, "the resource that it must lock is not known: "+err.Error())
	}
	p.resource = resource
	p.engine(s.Halt.State(), openWindows(s.Windows(p.now)))
	p.document()
	p.radius()
	return &planOutput{p.says}, nil
}

// preview asks the guards without taking anything.
type preview struct {
	plan     *runbooks.Plan
	ledger   ledger.Snapshot
	limits   ledger.Limits
	each     runbooks.EngineGuards
	resource string
	now      time.Time
	says     []GuardSays
}

func (p *preview) add(guard ledger.Guard, set string, state ledger.State, reason string) {
	p.says = append(p.says, GuardSays{Name: string(guard), Set: set, State: state, Reason: reason})
}

// mark says whose the last guard is.
func (p *preview) mark(of string) { p.says[len(p.says)-1].Of = of }

// Whose a guard is.
const (
	ofRunbook = "runbook"
	ofEngine  = "engine"
)

func (p *preview) addUnless(guard ledger.Guard, set string, state ledger.State, reason string) {
	if reason == "" {
		state = ledger.Admitted
	}
	p.add(guard, set, state, reason)
}

// engine is what holds for all runbooks.
func (p *preview) engine(halt *ledger.Halt, open string) {
	reason := ""
	if halt != nil {
		reason = fmt.Sprintf("halted by %s: %s", halt.By, halt.Reason)
	}
	p.addUnless(ledger.GuardHalt, "", ledger.Queued, reason)
	if open != "" {
		p.add("windows", "", "", "open now: "+open)
	}
	if p.ledger.Storm != nil {
		p.add(ledger.GuardStorm, "", ledger.Admitted, "the storm breaker is open; a run by hand is not held by it")
	}
	if p.limits.MaxRuns > 0 {
		reason := ""
		if p.ledger.Acting >= p.limits.MaxRuns {
			reason = fmt.Sprintf("%d runs act now", p.ledger.Acting)
		}
		p.addUnless(ledger.GuardConcurrency, fmt.Sprintf("%d runs", p.limits.MaxRuns), ledger.Queued, reason)
	}
	if p.ledger.Full {
		p.add(ledger.GuardQueue, "", ledger.Queued, "the queue is full")
	}
}

// document is what this runbook asks of the ledger.
func (p *preview) document() {
	g := p.plan.Document.Guards
	if p.resource != "" {
		p.lease(g.OnConflict)
	}
	account := p.account(p.plan.Runbook, p.resource)
	p.cooldown(account)
	p.rates(ofRunbook, g.Rate, account)
	p.rates(ofEngine, p.limits.Rate, p.account("", "")) // of all runbooks together
}

// cooldown is the longer of the two.
func (p *preview) cooldown(account ledger.Account) {
	cooldown, of := p.plan.Document.Guards.Cooldown, ofRunbook
	if p.each.Cooldown > cooldown {
		cooldown, of = p.each.Cooldown, ofEngine
	}
	if cooldown == 0 {
		return
	}
	reason := ""
	if account.ActedAt != nil {
		if left := account.ActedAt.Add(time.Duration(cooldown)).Sub(p.now); left > 0 {
			reason = fmt.Sprintf("it last acted at %s; %s left", account.ActedAt.UTC().Format(time.TimeOnly), left.Round(time.Second))
		}
	}
	p.addUnless(ledger.GuardCooldown, cooldown.String(), ledger.Refused, reason)
	p.mark(of)
}

func (p *preview) lease(conflict string) {
	state := ledger.Queued
	if conflict == "drop" {
		state = ledger.Refused
	}
	reason := ""
	for _, lease := range p.ledger.Leases {
		if lease.Resource == p.resource {
			reason = fmt.Sprintf("held by %s since %s", lease.Run, lease.Since.UTC().Format(time.TimeOnly))
		}
	}
	if reason != "" && conflict == "replace" {
		reason += "; it would be told to stop"
	}
	p.addUnless(ledger.GuardResource, p.resource, state, reason)
}

func (p *preview) account(runbook, resource string) ledger.Account {
	for _, a := range p.ledger.Accounts {
		if a.Runbook == runbook && a.Resource == resource && a.Target == "" {
			return a
		}
	}
	return ledger.Account{}
}

func (p *preview) rates(of string, rates []ledger.Rate, account ledger.Account) {
	for _, rate := range rates {
		p.rate(rate, account)
		p.mark(of)
	}
}

// rate counts what the ledger shows: its latest bookings. Where those do not
// reach, only the run itself can tell.
func (p *preview) rate(rate ledger.Rate, account ledger.Account) {
	since := p.now.Add(-time.Duration(rate.Per))
	n := 0
	for _, at := range account.Booked {
		if at.After(since) {
			n++
		}
	}
	set := fmt.Sprintf("%d in %s", rate.N, rate.Per)
	switch {
	case n >= rate.N:
		p.add(ledger.GuardRate, set, ledger.Refused, fmt.Sprintf("%d in the last %s", n, rate.Per))
	case n == len(account.Booked) && n >= 10:
		p.add(ledger.GuardRate, set, "", fmt.Sprintf("at least %d in the last %s", n, rate.Per))
	default:
		p.add(ledger.GuardRate, set, ledger.Admitted, fmt.Sprintf("%d in the last %s", n, rate.Per))
	}
}

// radius is what the run itself counts, just before it acts: by its runbook and
// by the engine.
func (p *preview) radius() {
	g := p.plan.Document.Guards
	p.side(ofRunbook, runbooks.EngineGuards{
		MaxTargets: g.MaxTargets, MinHealthy: g.MinHealthy, RatePerTarget: g.RatePerTarget, MaxErrors: g.MaxErrors, Approve: g.Approve,
	})
	p.side(ofEngine, p.each)
}

func (p *preview) side(of string, g runbooks.EngineGuards) {
	add := func(guard ledger.Guard, set string) {
		p.add(guard, set, "", "")
		p.mark(of)
	}
	if text := describeMaxTargets(g.MaxTargets); text != "" {
		add("max_targets", text)
	}
	if m := g.MinHealthy; m != nil {
		add("min_healthy", describeMaxTargets(&runbooks.MaxTargets{Count: m.Count, Percent: m.Percent}))
	}
	for _, rate := range g.RatePerTarget {
		add("rate_per_target", fmt.Sprintf("%d in %s", rate.N, rate.Per))
	}
	if g.MaxErrors > 0 {
		add("max_errors", strconv.Itoa(g.MaxErrors))
	}
	if a := g.Approve; a != nil {
		by := run.Approval{By: a.By}.Roles()
		add("approval", fmt.Sprintf("%d with the role %s, from %s on, within %s", max(1, a.Count), by, a.At, a.Within))
	}
}

// overridable are the guards that a person may set aside. The kill switch is
// not one of them.
var overridable = []string{
	string(ledger.GuardStorm), string(ledger.GuardQueue), string(ledger.GuardConcurrency), string(ledger.GuardResource),
	string(ledger.GuardCooldown), string(ledger.GuardRate), "approval",
}

// checkOverride: who sets a guard aside is an admin, and says why.
func (s *server) checkOverride(ctx context.Context, who identity.Identity, in Start) error {
	if len(in.Override) == 0 {
		return nil
	}
	if err := who.For(identity.Admin, in.Runbook); err != nil {
		return s.denied(ctx, "set aside "+strings.Join(in.Override, ", ")+" for "+in.Runbook, err)
	}
	for _, guard := range in.Override {
		if !slices.Contains(overridable, guard) {
			return problem(http.StatusUnprocessableEntity, CodeInvalid, fmt.Sprintf("%q can not be set aside; one of: %s", guard, strings.Join(overridable, ", ")))
		}
	}
	return inWords(in.Reason)
}

// inWords: a reason of blanks is none.
func inWords(reason string) error {
	if strings.TrimSpace(reason) == "" {
		return problem(http.StatusUnprocessableEntity, CodeInvalid, "this takes a reason, in words")
	}
	return nil
}
