package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// drillActivities is what drills need of this engine.
func (e *Engine) drillActivities() *drills.Activities {
	return &drills.Activities{
		Faults: e.faults, Catalog: e.catalog, Evaluator: runbooks.NewEvaluator(e.catalog), Audit: e.audit, Ledger: e.ledger,
		Halted: e.halted, Plan: e.planDrill, Checks: e.checkDrill, Alerts: e.allAlerts, Pending: e.pendingAlerts, Runs: e.whatRan, Hook: e.tellHook,
		Concluded: newDrillRecorder(e.metrics, e.log).concluded,
	}
}

// gamedays is what the interface serves of game days.
func (e *Engine) gamedays() api.Gamedays {
	return api.Gamedays{
		Service: e.drills, Schedules: e.schedules, Set: e.documents.Gamedays, Faults: e.faults,
		Load: func(sources diag.Sources) (*gameday.Set, diag.List) {
			return gameday.Load(sources, e.documents.gamedayOptions(e.documents.Set()))
		},
		Survey: func(ctx context.Context, p gameday.Plan) api.Survey {
			return api.Survey{Plan: p, Checks: e.drillActivities().Rehearse(ctx, p)}
		},
	}
}

// planDrill resolves a game day of the documents as they are now.
func (e *Engine) planDrill(name string, control gameday.ControlRun) (gameday.Plan, error) {
	g, known := e.documents.Gamedays().Get(name)
	if !known {
		return gameday.Plan{}, fmt.Errorf("there is no game day %q", name)
	}
	return g.Plan(control), nil
}

// checkDrill asks what only the engine knows: the runbook that is to be proved,
// and whether the alert would get here.
func (e *Engine) checkDrill(ctx context.Context, p gameday.Plan) []gameday.Check {
	checks := []gameday.Check{e.checkRoute(ctx, p)}
	if p.Proves != nil {
		checks = append(checks, e.checkRunbook(p))
	}
	if len(p.NotDuring) > 0 {
		checks = append(checks, e.checkWindows(p))
	}
	return checks
}

// checkWindows keeps scheduled drills out of maintenance windows. One that can
// not be read counts as open.
func (e *Engine) checkWindows(p gameday.Plan) gameday.Check {
	open := e.windows.open(time.Now())
	for _, name := range p.NotDuring {
		if slices.Contains(open, name) {
			return gameday.Check{Name: gameday.CheckWindows, State: gameday.Failed, Text: fmt.Sprintf("the schedule does not start drills during %s, which is open", name)}
		}
	}
	return gameday.Check{Name: gameday.CheckWindows, State: gameday.OK, Text: "none of these is open: " + strings.Join(p.NotDuring, ", ")}
}

func (e *Engine) checkRunbook(p gameday.Plan) gameday.Check {
	c := gameday.Check{Name: "runbook", State: gameday.Failed}
	rb, known := e.documents.Set().Get(p.Proves.Runbook)
	if !known {
		c.Text = fmt.Sprintf("runbook %s is not loaded", p.Proves.Runbook)
		return c
	}
	if rb.Digest() != p.Proves.Digest {
		c.Text = fmt.Sprintf("runbook %s has changed since the drill was planned", p.Proves.Runbook)
		return c
	}
	own := rb.Autonomy
	own.Proof = nil // the drill is how it earns one
	set := p.AlertLabels()
	level, why := e.config.Autonomy.Effective(own, set, e.windows.at(time.Now()), runbooks.Standing{})
	c.State, c.Text = gameday.OK, fmt.Sprintf("runbook %s acts by itself for this drill", p.Proves.Runbook)
	if level != runbooks.Auto {
		// To show that is what a drill is for.
		c.State, c.Text = gameday.Warning, strings.TrimSuffix(fmt.Sprintf("runbook %s would not act by itself: its autonomy is %s: %s", p.Proves.Runbook, level, strings.Join(why, "; ")), ": ")
	}
	return c
}

// checkRoute asks whether Alertmanager would send the expected alert to a webhook.
func (e *Engine) checkRoute(ctx context.Context, p gameday.Plan) gameday.Check {
	c := gameday.Check{Name: "alert route", State: gameday.OK, Text: "the game day expects no alert"}
	if p.Expect.Alert == nil {
		return c
	}
	if len(e.alertmanagers) == 0 {
		c.State, c.Text = gameday.Unknown, "no Alertmanager is configured that could be asked; see alertmanagers in the config"
		return c
	}
	var names []string
	for _, peer := range e.alertmanagers {
		found, err := peer.Webhooks(ctx, p.AlertLabels())
		if err != nil {
			c.State, c.Text = gameday.Unknown, err.Error()
			return c
		}
		names = append(names, found...)
	}
	if len(names) == 0 {
		c.State, c.Text = gameday.Failed, "no route of Alertmanager sends the expected alert to a webhook"
		return c
	}
	slices.Sort(names)
	c.Text = "Alertmanager sends the expected alert to the receiver " + strings.Join(slices.Compact(names), ", ")
	return c
}

// allAlerts are what fires in any Alertmanager, muted or not. One that does not
// answer makes the answer unknown.
func (e *Engine) allAlerts(ctx context.Context) (all []gameday.Alert, err error) {
	if len(e.alertmanagers) == 0 {
		return nil, errors.New("no Alertmanager is configured; see alertmanagers in the config")
	}
	for _, peer := range e.alertmanagers {
		list, err := peer.Alerts(ctx, alertmanagerapi.Filter{Active: true, Silenced: true, Inhibited: true})
		if err != nil {
			return nil, err
		}
		for _, one := range list {
			a := gameday.Alert{Fingerprint: *one.Fingerprint, Labels: one.Labels, StartsAt: time.Time(*one.StartsAt)}
			a.Suppressed = one.Status != nil && one.Status.State != nil && *one.Status.State == "suppressed"
			all = append(all, a)
		}
	}
	return all, nil
}

// pendingAlerts asks every Prometheus which alerts it holds back. Alertmanager
// does not know of them.
func (e *Engine) pendingAlerts(ctx context.Context) (all []map[string]string, err error) {
	for _, name := range e.conns.Names("prometheus") {
		output, err := e.call(ctx, "prometheus.query", map[string]any{
			"connection": name, "query": `ALERTS{alertstate="pending"} or vector(0)`, "reduce": "max",
		})
		if err != nil {
			return nil, err
		}
		var answer struct {
			Series []struct{ Labels map[string]string }
		}
		if err := json.Unmarshal(output, &answer); err != nil {
			return nil, fmt.Errorf("read the pending alerts of prometheus %q: %w", name, err)
		}
		for _, one := range answer.Series {
			all = append(all, one.Labels)
		}
	}
	return all, nil
}

// seenRuns is how many runs of a drill's time are looked at.
const seenRuns = 200

// whatRan is what runbooks and people did since a time, all of it or nothing: of
// what is left out nobody could say that it had no part.
func (e *Engine) whatRan(ctx context.Context, since time.Time) (all []gameday.Run, people []gameday.Intervention, err error) {
	rows, err := e.runs.List(ctx, runs.Filter{Since: since, Limit: seenRuns + 1})
	switch {
	case err != nil:
		return nil, nil, err
	case len(rows) > seenRuns:
		return nil, nil, fmt.Errorf("there were more than %d since %s", seenRuns, since.UTC().Format(time.TimeOnly))
	}
	for _, row := range rows {
		r, err := e.runs.Get(ctx, row.ID)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, gameday.RunOf(&r))
		for _, one := range interventions(&r) {
			if !one.At.Before(since) {
				people = append(people, one)
			}
		}
	}
	return all, people, nil
}

func interventions(r *run.Run) (all []gameday.Intervention) {
	if r.Source == runbooks.FromExec && r.Mode == runbooks.ModeLive {
		all = append(all, gameday.Intervention{At: r.StartedAt, Who: r.Actor, What: "ran " + r.Runbook + " by hand"})
	}
	if r.Approval != nil {
		for _, d := range r.Approval.Decisions {
			all = append(all, gameday.Intervention{At: d.At, Who: d.By, What: "decided on " + r.ID})
		}
	}
	for _, event := range r.Events {
		if event.Kind == "cancel" {
			all = append(all, gameday.Intervention{At: event.At, Who: "a person", What: event.Text})
		}
	}
	return all
}

// tellHook posts an event to the connections that a game day names.
func (e *Engine) tellHook(ctx context.Context, h drills.HookCall) error {
	text := fmt.Sprintf("game day %s: %s", h.Gameday, h.Event)
	if h.Verdict != "" {
		text += ": " + h.Verdict
	}
	if h.Why != "" && h.Event != "heal" {
		text += ": " + h.Why
	}
	var failed []error
	if h.Hooks.Webhook != "" {
		failed = append(failed, e.post(ctx, h.Hooks.Webhook, "/", map[string]any{
			"drill": h.Drill, "gameday": h.Gameday, "event": h.Event, "at": h.At, "verdict": h.Verdict, "why": h.Why, "text": text, "is_drill": true,
		}))
	}
	if h.Hooks.Grafana != "" {
		failed = append(failed, e.post(ctx, h.Hooks.Grafana, "/api/annotations", map[string]any{
			"time": h.At.UnixMilli(), "text": text, "tags": []string{"runbook", "drill", h.Gameday, h.Event},
		}))
	}
	return errors.Join(failed...)
}

// post sends JSON through the action that posts over a connection.
func (e *Engine) post(ctx context.Context, connection, path string, body any) error {
	_, err := e.call(ctx, "http.request", map[string]any{"connection": connection, "method": "POST", "url": path, "json": body})
	return err
}

// call uses an action that has one target.
func (e *Engine) call(ctx context.Context, name string, params map[string]any) (json.RawMessage, error) {
	action, known := e.catalog.Get(name)
	if !known {
		return nil, fmt.Errorf("this engine has no action %s", name)
	}
	with, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	bound, problems := action.Bind(with)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return bound.Run(ctx, "", *bound.OnlyTarget())
}

// janitor heals what is past its deadline, whoever injected it: the engine or the
// drill that should have may be gone.
func (e *Engine) janitor(ctx context.Context) {
	ticker := time.NewTicker(janitorEvery)
	defer ticker.Stop()
	sighted := true
	for {
		sighted = e.sweep(ctx, sighted)
		e.injections.count(ctx, e.faults)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

const (
	janitorEvery = 15 * time.Second
	// janitorGrace lets the injector's own backstop come first.
	janitorGrace = 5 * time.Second
)

// sweep reports whether it could look everywhere, and logs when that is not as it
// was before.
func (e *Engine) sweep(ctx context.Context, before bool) (sighted bool) {
	swept, err := e.faults.Sweep(ctx, time.Now().Add(-janitorGrace), false)
	sighted = err == nil
	for _, s := range swept {
		if s.Error != "" {
			sighted = true // which is what the error is about
			e.log.Error("a fault that is past its deadline could not be healed; runbook gameday heal --all tries again", "fault", s.String(), "error", s.Error)
			continue
		}
		e.log.Warn("healed a fault that was past its deadline", "fault", s.String(), "deadline", s.Deadline)
	}
	switch {
	case ctx.Err() != nil:
		return before
	case !sighted && before:
		e.log.Warn("the janitor can not look for faults everywhere; until it can, one there ends by its drill or its backstop alone", "error", err)
	case sighted && !before:
		e.log.Info("the janitor can look for faults everywhere again")
	}
	return sighted
}
