package verdict

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// Who saw an edge of the timeline.
const (
	sawInjector     = "injector"
	sawProbe        = "probe"
	sawPrometheus   = "prometheus"
	sawAlertmanager = "alertmanager"
	sawWebhook      = "webhook"
	sawEngine       = "engine"
)

// Edges between which the system was unwell.
const (
	EffectSeen = "effect seen"
	Recovered  = "recovered"
)

// timeline is every moment that was seen, in order.
func (f *facts) timeline() []Edge {
	var t timeline
	for _, i := range f.ev.Injections {
		t.add("injecting "+i.Fault, i.Requested, sawEngine)
		t.add("injected "+i.Fault, i.Injected, sawInjector)
	}
	t.add(EffectSeen, f.effect, sawProbe)
	t.add("alert pending", f.ev.Pending, sawPrometheus)
	t.alert(f.alert)
	t.run(f.run)
	if f.recovery.held() {
		t.add(Recovered, f.recovery.by(), sawProbe)
		t.add("unwell again", f.recovery.relapse, sawProbe)
	}
	for _, i := range f.ev.Interventions {
		t.add(i.Who+": "+i.What, i.At, "person")
	}
	if a := f.ev.Abort; a != nil {
		t.add("aborted", a.At, a.By)
	}
	for _, i := range f.ev.Injections {
		t.add("healing "+i.Fault, i.HealIssued, sawEngine)
		t.add("healed "+i.Fault, i.Healed, sawInjector)
	}
	slices.SortStableFunc(t.edges, func(a, b Edge) int { return a.At.Compare(b.At) })
	return t.edges
}

type timeline struct{ edges []Edge }

func (t *timeline) add(name string, at time.Time, source string) {
	if !at.IsZero() {
		t.edges = append(t.edges, Edge{Name: name, At: at, Source: source})
	}
}

func (t *timeline) alert(a *gameday.Alert) {
	if a == nil {
		return
	}
	if !a.StartsAt.IsZero() {
		t.edges = append(t.edges, Edge{Name: "alert raised", At: a.StartsAt, Source: sawAlertmanager, Foreign: true})
	}
	t.add("alert firing", a.ActiveSeen, sawAlertmanager)
	t.add("webhook", a.Webhook, sawWebhook)
	t.add("alert resolved", a.Resolved, sawAlertmanager)
}

func (t *timeline) run(r *gameday.Run) {
	if r == nil {
		return
	}
	t.add("run started", r.Started, sawEngine)
	t.add("first action", r.FirstAction, sawEngine)
	for _, s := range r.Steps {
		if s.Effect {
			t.add("step "+s.ID+" acted", s.Acted, sawEngine)
		}
	}
	t.add("run ended "+r.Outcome, r.Ended, sawEngine)
}

// figures are the times between the edges; one that lacks an edge is absent.
func (f *facts) figures() Figures {
	var g Figures
	if a := f.alert; a != nil {
		g.TimeToDetect = between(f.effect, a.Webhook)
		g.AlertmanagerShare = between(a.ActiveSeen, a.Webhook)
		if f.run != nil {
			g.TimeToAct = between(a.Webhook, f.run.FirstAction)
		}
	}
	if f.recovery.held() {
		g.TimeToRecover = between(f.effect, f.recovery.by())
	}
	for _, i := range f.ev.Injections {
		if took := between(i.HealIssued, i.Healed); took != nil && (g.TimeToHeal == nil || *took > *g.TimeToHeal) {
			g.TimeToHeal = took
		}
	}
	return g
}

// between is never negative: what was seen late by a probe or a poll did not
// happen late.
func between(from, to time.Time) *model.Duration {
	if from.IsZero() || to.IsZero() {
		return nil
	}
	d := model.Duration(max(to.Sub(from), 0))
	return &d
}
