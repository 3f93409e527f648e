package rehearsal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/unittest"
	"github.com/runbook-engine/runbook/workflows"
)

func (p *play) carryOut() {
	plan, matches, err := p.plan()
	switch {
	case err != nil:
		p.came.Run = run.Run{Outcome: run.Skipped, OutcomeReason: err.Error()}
		p.compare()
	case !matches:
		p.unmatched()
	case p.one.Expect.Decision == "no_match":
		p.wrong("decision", "no_match", "the alert starts "+p.tested.Test)
	default:
		p.rehearse(plan)
	}
}

func (p *play) unmatched() {
	if p.one.Expect.Decision == "no_match" {
		return
	}
	labels := make([]string, 0, len(p.one.Alert.Labels))
	for name, value := range p.one.Alert.Labels {
		labels = append(labels, name+"="+value)
	}
	slices.Sort(labels)
	p.wrong("decision", p.one.Expect.Decision, fmt.Sprintf("the alert does not start %s: %s", p.tested.Test, strings.Join(labels, ", ")))
}

// plan is what the engine would make of the alert, or of the start by hand.
func (p *play) plan() (plan runbooks.Plan, matches bool, err error) {
	if p.one.Alert == nil {
		mode := runbooks.ModeLive
		if p.one.DryRun {
			mode = runbooks.ModeDryRun
		}
		plan, err = p.tested.Runbook.ForExec(p.one.Params, mode, "somebody", "a unit test", "rehearsal")
		return plan, true, err
	}
	a := p.alert()
	if !p.answers(p.tested.Runbook, &a) {
		return plan, false, nil
	}
	return p.tested.Runbook.ForAlert(a), true, nil
}

func (p *play) alert() runbooks.Alert {
	a := p.one.Alert
	return runbooks.Alert{
		Status: "firing", Labels: a.Labels, Annotations: a.Annotations, RouteLabels: a.Route,
		StartsAt: p.one.At.Add(-time.Duration(a.FiringFor)), Fingerprint: "0000000000000001",
	}
}

func (p *play) rehearse(plan runbooks.Plan) {
	world := &world{play: p, next: map[string]int{}}
	happens, book := p.ledger(plan)
	r := workflows.Rehearsal{
		Catalog: p.catalog, Evaluator: p.evaluator, World: world, Start: p.one.At, Windows: p.one.Windows,
		Ledger: book, Autonomy: p.autonomy, Halted: p.halted, Firing: p.firing, Happens: append(happens, p.happens()...),
	}
	var err error
	if p.came, err = r.Rehearse(plan); err != nil {
		p.problems.Add(p.node.At, "rehearsal", err.Error(), "")
	}
	p.tries = world.next
	// What was expected means nothing in a world that was not declared.
	if p.problems = append(p.problems, world.undeclared...); len(p.problems) == 0 {
		p.compare()
	}
}

func (p *play) autonomy(plan *runbooks.Plan, _ runbooks.Moment) (runbooks.Level, []string) {
	standing := runbooks.Standing{Reason: "no game day has proven it"}
	if proven := p.one.Proven; proven != nil && *proven {
		standing = runbooks.Standing{Holds: true}
	}
	return runbooks.Environment{Max: p.one.Max}.Effective(plan.Document.Autonomy, plan.Alert.Labels, nil, standing)
}

func (p *play) since(now time.Time) model.Duration { return model.Duration(now.Sub(p.one.At)) }

func (p *play) halted(now time.Time) string {
	if p.since(now) < p.one.Halted {
		return "the engine is halted"
	}
	return ""
}

func (p *play) firing(now time.Time) bool {
	resolved := p.one.Resolves > 0 && p.since(now) >= p.one.Resolves
	again := p.one.FiresAgain > 0 && p.since(now) >= p.one.FiresAgain
	return !resolved || again
}

// happens is what comes to the run from outside.
func (p *play) happens() (all []workflows.Happening) {
	signal := func(after model.Duration, name string, input any) {
		all = append(all, workflows.Happening{After: time.Duration(after), Signal: name, Input: input})
	}
	at := func(after model.Duration) time.Time { return p.one.At.Add(time.Duration(after)) }
	if p.one.Resolves > 0 {
		signal(p.one.Resolves, workflows.SignalResolved, workflows.Resolution{EndsAt: at(p.one.Resolves)})
	}
	if p.one.FiresAgain > 0 {
		signal(p.one.FiresAgain, workflows.SignalFiring, workflows.Relapse{StartsAt: at(p.one.FiresAgain)})
	}
	if c := p.one.Cancel; c != nil {
		signal(c.After, workflows.SignalCancel, workflows.CancelRequest{By: c.By, Reason: "a unit test", Undo: c.Undo})
	}
	for _, d := range p.one.People {
		signal(d.After, workflows.SignalDecision, workflows.Decision{By: d.By, Roles: d.Roles, Approve: d.Approve, Reason: d.Reason})
	}
	return all
}

// oldest is how far back the ledger of a rehearsal goes.
const oldest = 366 * 24 * time.Hour

// ledger is one in which the earlier runs are booked and the other holds the
// resource.
func (p *play) ledger(plan runbooks.Plan) (happens []workflows.Happening, book *ledger.Ledger) {
	book = ledger.New(p.one.At.Add(-oldest))
	resource, err := p.evaluator.Resource(&plan, runbooks.Moment{Now: p.one.At})
	if err != nil {
		return nil, book // the run is refused for it
	}
	earlier := slices.Clone(p.one.Earlier)
	slices.SortStableFunc(earlier, func(a, b unittest.Earlier) int { return cmp.Compare(b.Ago, a.Ago) })
	for i, e := range earlier {
		p.book(book, plan, resource, fmt.Sprintf("%s.earlier-%d", plan.Runbook, i+1), e)
	}
	if h := p.one.Held; h != nil {
		other := h.By + ".another"
		apply(book, p.one.At, ledger.Op{Admit: &ledger.Admit{Run: other, Runbook: h.By, Source: string(runbooks.FromAlert), Resource: resource}})
		happens = append(happens, workflows.Happening{After: time.Duration(h.For), Op: &ledger.Op{Release: &ledger.Release{Run: other}}})
	}
	return happens, book
}

// book has a run come and go. One that would not have been admitted can not have
// been.
func (p *play) book(book *ledger.Ledger, plan runbooks.Plan, resource, id string, e unittest.Earlier) {
	g, at := plan.Document.Guards, p.one.At.Add(-time.Duration(e.Ago))
	answer := apply(book, at, ledger.Op{Admit: &ledger.Admit{
		Run: id, Runbook: plan.Runbook, Source: string(runbooks.FromAlert), Resource: resource, Cooldown: g.Cooldown, Rate: g.Rate,
	}})
	if answer.State == ledger.Admitted && len(e.Targets) > 0 {
		answer = apply(book, at, ledger.Op{Reserve: &ledger.Reserve{Run: id, Step: "earlier", Targets: e.Targets, Rate: g.RatePerTarget}})
	}
	if answer.State != ledger.Admitted {
		p.problems.Add(p.node.KeyPlace("earlier"), "impossible",
			fmt.Sprintf("the run %s ago would itself have been %s: %s", e.Ago, answer.State, answer.Reason), "")
	}
	apply(book, at, ledger.Op{Release: &ledger.Release{Run: id, Acted: true}})
}

func apply(book *ledger.Ledger, at time.Time, op ledger.Op) ledger.Answer {
	answers, _ := book.Apply(at, ledger.Limits{Lease: workflows.RehearsedLease}, []ledger.Op{op})
	return answers[0]
}
