package drills_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// world is a system that exists only in this test, on virtual time: how soon
// each thing follows the injection; a zero time is never.
type world struct {
	env *testsuite.TestWorkflowEnvironment

	effect, active, webhook, started, acted, recovered, ended time.Duration

	preflight  gameday.State
	healFails  int
	unwellFor  time.Duration // after the healing
	incident   time.Duration
	overtaken  time.Duration // an old alert is over, and a second later another peer says that it fires
	stop       time.Duration // a person does
	settle     time.Duration // a person says that it is healed
	seldom     time.Duration // the pause between two looks
	lost       time.Duration // the fault is gone
	restart    time.Duration // another engine reports
	injectFail error
	said       []byte // what each look gives
	others     bool   // a run of another runbook instead of the proven one
	muted      bool   // the incident is, until the webhook tells of it

	injected, healed time.Time
	heals, pages     int
	order, told      []string // told is what hooks were
	proofs           []drills.Result
}

func well() *world {
	return &world{
		effect: time.Second, active: 3 * time.Second, webhook: 4 * time.Second, started: 4200 * time.Millisecond,
		acted: 5 * time.Second, recovered: 6 * time.Second, ended: 16 * time.Second, preflight: gameday.OK,
	}
}

var (
	expected = map[string]string{"alertname": "PoolExhausted", "env": "prod"}
	incident = map[string]string{"alertname": "DiskFull", "env": "prod"}
)

func plan() gameday.Plan {
	d := func(t time.Duration) model.Duration { return model.Duration(t) }
	return gameday.Plan{
		Gameday: "pool", Digest: "d1", Proves: &gameday.Proven{Runbook: "heal", Digest: "r1"}, Scope: []string{`env="prod"`},
		Steady: []gameday.PlanProbe{{ID: "checkout", Do: "http.get", Expect: "status == 200", NoAnswer: gameday.Bad, Every: d(500 * time.Millisecond), AbortAfter: d(time.Minute)}},
		Faults: []gameday.PlanFault{{ID: "hold", Inject: "postgres.hold_connections", For: d(5 * time.Minute)}},
		Expect: gameday.Expect{
			Alert:     &gameday.Alerting{Matchers: []string{`alertname="PoolExhausted"`}, Within: d(20 * time.Second)},
			Runbook:   &gameday.Remedying{Outcome: "fixed", Within: d(20 * time.Second)},
			Recovered: &gameday.Recovering{Within: d(time.Minute), Hold: d(3 * time.Second), Because: gameday.ByRunbook},
		},
		Watch: d(2 * time.Minute),
	}
}

// since is a moment after the injection; zero when that is not, or not yet.
func (w *world) since(after time.Duration) time.Time {
	if after == 0 || w.injected.IsZero() || w.env.Now().Before(w.injected.Add(after)) {
		return time.Time{}
	}
	return w.injected.Add(after)
}

func (w *world) good(at time.Time) bool {
	if !w.healed.IsZero() {
		return !at.Before(w.healed.Add(w.unwellFor))
	}
	if w.injected.IsZero() || w.effect == 0 || at.Before(w.injected.Add(w.effect)) {
		return true
	}
	return w.recovered != 0 && !at.Before(w.injected.Add(w.recovered))
}

func (w *world) look(_ context.Context, l drills.Look) (drills.Sight, error) {
	to := w.env.Now()
	from := to.Add(-2 * time.Second)
	s := drills.Sight{Watched: []gameday.Watch{{What: gameday.WatchAlerts, From: from, To: to}, {What: gameday.WatchRuns, From: from, To: to}}}
	series := gameday.Series{ID: "checkout"}
	every := max(w.seldom, 500*time.Millisecond)
	for at := from.Add(time.Millisecond); at.Before(to); at = at.Add(every) {
		if at.Before(l.Last["checkout"].Add(w.seldom)) {
			break
		}
		state := gameday.Bad
		if w.good(at) {
			state = gameday.Good
		}
		series.Samples = append(series.Samples, gameday.Sample{At: at, State: state, Output: w.said})
	}
	s.Probes = []gameday.Series{series}
	if at := w.since(w.active); !at.IsZero() {
		s.Alerts = []gameday.Alert{{Fingerprint: "f1", Labels: expected, Expected: true, StartsAt: w.injected, ActiveSeen: at}}
	}
	if w.muted && !w.injected.IsZero() {
		s.Alerts = append(s.Alerts, gameday.Alert{Fingerprint: "f2", Labels: incident, StartsAt: w.injected, ActiveSeen: to, Suppressed: true})
	}
	if at := w.since(w.started); !at.IsZero() {
		s.Runs = []gameday.Run{w.run(at)}
	}
	for id := range l.Injected {
		s.Faults = []drills.Standing{{ID: id, There: to.Add(-2 * time.Millisecond)}}
		if at := w.since(w.lost); !at.IsZero() {
			s.Faults = []drills.Standing{{ID: id, There: at.Add(-time.Millisecond), Gone: at}}
		}
	}
	s.Incarnation = &gameday.Incarnation{At: to.Add(-time.Millisecond), IDs: []string{"database/orders"}}
	return s, nil
}

func (w *world) run(at time.Time) gameday.Run {
	r := gameday.Run{ID: "heal.f1-1", Runbook: "heal", Digest: "r1", Fingerprint: "f1", Source: "alert", Mode: "live", Started: at}
	if w.others {
		r.ID, r.Runbook = "other.f1-1", "other"
	}
	if acted := w.since(w.acted); !acted.IsZero() {
		r.FirstAction = acted
		r.Steps = []gameday.RunStep{{ID: "release", Do: "postgres.terminate_backends", Outcome: "fixed", Targets: []string{"backend/1"}, Started: acted, Acted: acted, Ended: acted, Effect: true}}
	}
	if ended := w.since(w.ended); !ended.IsZero() {
		r.Ended, r.Outcome = ended, "fixed"
	}
	return r
}

func (w *world) inject(context.Context, drills.FaultCall) (drills.Injected, error) {
	w.order = append(w.order, "inject")
	if w.injectFail != nil {
		return drills.Injected{Tries: 1}, w.injectFail
	}
	w.injected = w.env.Now()
	w.tell(w.webhook, drills.SignalSeen, func() any { return w.seen("f1", expected) })
	w.tell(w.incident, drills.SignalSeen, func() any {
		return w.seen("f2", incident)
	})
	w.tell(w.overtaken, drills.SignalSeen, func() any { return w.old("resolved") })
	w.tell(w.overtaken+w.overtaken, drills.SignalSeen, func() any { return w.old("firing") })
	w.tell(w.restart, drills.SignalAttend, func() any { return "another engine" })
	w.tell(w.settle, drills.SignalSettle, func() any { return drills.Stop{By: "bob", Reason: "restarted it"} })
	w.tell(w.stop, drills.SignalAbort, func() any { return drills.Stop{By: "ada", Reason: "enough"} })
	return drills.Injected{At: w.injected, Targets: []string{"database/orders"}, Tries: 1}, nil
}

func (w *world) tell(after time.Duration, signal string, arg func() any) {
	if after != 0 {
		w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(signal, arg()) }, after)
	}
}

func (w *world) seen(fingerprint string, set map[string]string) drills.Seen {
	return drills.Seen{
		Alert: runbooks.Alert{Status: "firing", Fingerprint: fingerprint, Labels: set, StartsAt: w.injected},
		At:    w.env.Now(), Decision: "started", Body: []byte(`{}`), Expected: fingerprint == "f1", Real: fingerprint != "f1",
	}
}

func (w *world) old(status string) drills.Seen {
	set := map[string]string{"alertname": "Slow", "env": "test"}
	return drills.Seen{
		Alert: runbooks.Alert{Status: status, Fingerprint: "f3", Labels: set, StartsAt: w.injected.Add(-time.Hour)},
		At:    w.env.Now(), Decision: "stale",
	}
}

func (w *world) heal(context.Context, drills.FaultCall) (drills.Healed, error) {
	w.heals++
	w.order = append(w.order, "heal")
	if w.heals <= w.healFails {
		return drills.Healed{}, errors.New("the database does not answer")
	}
	w.healed = w.env.Now()
	return drills.Healed{At: w.healed, Proof: "nothing is left"}, nil
}

// play runs one drill.
func (w *world) play(t *testing.T, p gameday.Plan) drills.Drill {
	t.Helper()
	w.env = (&testsuite.WorkflowTestSuite{}).NewTestWorkflowEnvironment()
	w.env.SetTestTimeout(10 * time.Second)
	w.env.SetStartTime(time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC))
	judge := &drills.Activities{}
	for name, f := range map[string]any{
		drills.ActivityClock:     func(context.Context) (time.Time, error) { return w.env.Now(), nil },
		drills.ActivityPreflight: func(context.Context, drills.Task) (drills.Ready, error) { return w.ready(), nil },
		drills.ActivityInject:    w.inject, drills.ActivityHeal: w.heal, drills.ActivityJudge: judge.Judge, drills.ActivityPage: judge.Page,
		drills.ActivityConclude: func(_ context.Context, r drills.Result) error { w.proofs = append(w.proofs, r); return nil },
		drills.ActivityLook:     w.look,
		drills.ActivityHook: func(_ context.Context, h drills.HookCall) error {
			w.told = append(w.told, h.Event+" "+h.Why)
			return nil
		},
		workflows.ActivityPagePost: func(context.Context, workflows.Page) (string, error) { w.pages++; return "", nil },
	} {
		w.env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
	w.env.RegisterWorkflowWithOptions(func(workflow.Context, workflows.Page) (workflows.PageEnded, error) {
		return workflows.PageEnded{}, nil
	}, workflow.RegisterOptions{Name: workflows.PageType})
	w.env.OnActivity(drills.ActivityLook, mock.Anything, mock.Anything).After(2 * time.Second).Return(w.look)
	w.env.RegisterDelayedCallback(func() { w.env.SignalWorkflow(drills.SignalAttend, "this engine") }, time.Second)
	w.env.ExecuteWorkflow(drills.Gameday, drills.Request{ID: "pool.1", Gameday: "pool", By: "ada", Plan: &p})
	var d drills.Drill
	if err := errors.Join(w.env.GetWorkflowError(), w.env.GetWorkflowResult(&d)); err != nil {
		t.Fatal(err)
	}
	return d
}

func (w *world) ready() drills.Ready {
	var ready drills.Ready
	p := plan()
	for _, name := range p.Checks() {
		if name != gameday.CheckWebhook && name != gameday.CheckBaseline { // which the workflow makes itself
			ready.Checks = append(ready.Checks, gameday.Check{Name: name, State: w.preflight})
		}
	}
	return ready
}

func TestAWholeGameDayOnVirtualTime(t *testing.T) {
	w := well()
	d := w.play(t, plan())
	if d.Verdict.Verdict != verdict.Passed || d.Verdict.Because != gameday.ByRunbook || !d.Verdict.Proof {
		t.Fatalf("%+v\nnotes %v", d.Verdict, d.Evidence.Notes)
	}
	if len(w.proofs) != 1 || w.heals != 1 || w.pages != 0 {
		t.Errorf("concluded %d times, healed %d times, %d pages", len(w.proofs), w.heals, w.pages)
	}
}

// Each world but one is not as the game day expects, and the drill says so.
func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*world, *gameday.Plan)
		verdict verdict.Name
		because gameday.Because
		heals   bool
	}{
		"no effect":          {func(w *world, _ *gameday.Plan) { w.effect = 0 }, verdict.Inconclusive, "", true},
		"no alert":           {func(w *world, _ *gameday.Plan) { w.active, w.webhook, w.started = 0, 0, 0; w.acted, w.recovered = 0, 0 }, verdict.Failed, "", true},
		"webhook lost":       {func(w *world, _ *gameday.Plan) { w.webhook, w.started, w.acted, w.recovered = 0, 0, 0, 0 }, verdict.Failed, "", true},
		"runbook disabled":   {func(w *world, _ *gameday.Plan) { w.started, w.acted, w.recovered = 0, 0, 0 }, verdict.Failed, "", true},
		"by itself":          {func(w *world, _ *gameday.Plan) { w.recovered = 4500 * time.Millisecond }, verdict.Failed, gameday.ByItself, true},
		"does not recover":   {func(w *world, _ *gameday.Plan) { w.recovered = 0 }, verdict.Failed, "", true},
		"another runbook":    {func(w *world, _ *gameday.Plan) { w.others = true }, verdict.Failed, gameday.ByUnknown, true},
		"not ready":          {func(w *world, _ *gameday.Plan) { w.preflight = gameday.Unknown }, verdict.Inconclusive, "", false},
		"real alert":         {func(w *world, _ *gameday.Plan) { w.incident = 1500 * time.Millisecond }, verdict.Aborted, "", true},
		"real alert unmuted": {func(w *world, _ *gameday.Plan) { w.incident, w.muted = 4500*time.Millisecond, true }, verdict.Aborted, "", true},
		"injection fails":    {func(w *world, _ *gameday.Plan) { w.injectFail = errors.New("refused") }, verdict.Inconclusive, "", true},
		"looks seldom": {func(w *world, p *gameday.Plan) {
			w.seldom, p.Steady[0].Every = 40*time.Second, model.Duration(40*time.Second)
			w.active, w.webhook, w.started = 44*time.Second, 45*time.Second, 46*time.Second
			w.acted, w.recovered, w.ended = 50*time.Second, 60*time.Second, 70*time.Second
			p.Watch = model.Duration(5 * time.Minute)
		}, verdict.Passed, gameday.ByRunbook, true},
		"fault lost":         {func(w *world, _ *gameday.Plan) { w.lost = 4500 * time.Millisecond }, verdict.Inconclusive, "", true},
		"fault ended by it":  {func(w *world, p *gameday.Plan) { w.lost, p.Faults[0].Yields = 5500*time.Millisecond, true }, verdict.Passed, gameday.ByRunbook, true},
		"fault ended before": {func(w *world, p *gameday.Plan) { w.lost, p.Faults[0].Yields = 4500*time.Millisecond, true }, verdict.Inconclusive, gameday.ByRunbook, true},
		"engine restarted": {func(w *world, p *gameday.Plan) {
			w.restart, w.lost, p.Faults[0].Yields = 4500*time.Millisecond, 5500*time.Millisecond, true
		}, verdict.Inconclusive, gameday.ByRunbook, true},
		"unwell after healing": {func(w *world, _ *gameday.Plan) { w.unwellFor = time.Hour }, verdict.HealFailed, gameday.ByRunbook, true},
		"healed at third try":  {func(w *world, _ *gameday.Plan) { w.healFails = 2 }, verdict.Passed, gameday.ByRunbook, true},
		"control run without the runbook": {func(w *world, p *gameday.Plan) {
			w.started, w.acted, w.recovered = 0, 0, 0
			p.Control, p.Expect.Recovered.Within, p.Steady[0].AbortAfter = gameday.NoRemedy, model.Duration(time.Minute), model.Duration(80*time.Second)
		}, verdict.Passed, "", true},
		"late news": {func(w *world, _ *gameday.Plan) { w.overtaken = time.Second }, verdict.Passed, gameday.ByRunbook, true},
		"unwell for too long": {func(w *world, p *gameday.Plan) {
			w.started, w.acted, w.recovered = 0, 0, 0
			p.Steady[0].AbortAfter = model.Duration(time.Hour)
		}, verdict.Failed, "", true},
		"recovers without alert": {func(w *world, _ *gameday.Plan) { w.active, w.webhook, w.started, w.acted = 0, 0, 0, 0 }, verdict.Failed, gameday.ByItself, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, p := well(), plan()
			c.change(w, &p)
			d := w.play(t, p)
			if d.Verdict.Verdict != c.verdict || d.Verdict.Because != c.because {
				t.Errorf("%s because %q, want %s because %q: %+v", d.Verdict.Verdict, d.Verdict.Because, c.verdict, c.because, d.Verdict.Reasons)
			}
			if c.heals != (w.heals > 0) {
				t.Errorf("healed %d times; %v", w.heals, w.order)
			}
		})
	}
}

func TestWhatCanNotBeHealedIsTriedOnAndPeopleAreCalled(t *testing.T) {
	w := well()
	w.healFails = 12
	d := w.play(t, plan())
	if w.pages != 1 || w.heals != 13 {
		t.Errorf("%d pages, %d tries", w.pages, w.heals)
	}
	if d.Evidence.Injections[0].Healed.IsZero() {
		t.Error("the healing at last is not in the evidence")
	}
}

func TestAPersonStopsADrill(t *testing.T) {
	w, p := well(), plan()
	w.stop, p.Hooks = 2500*time.Millisecond, gameday.Hooks{Webhook: "desk"}
	d := w.play(t, p)
	if d.Verdict.Verdict != verdict.Aborted || w.heals != 1 {
		t.Errorf("%+v, healed %d times", d.Verdict, w.heals)
	}
	if late := d.Evidence.Injections[0].HealIssued.Sub(d.Evidence.Abort.At); late > 100*time.Millisecond {
		t.Errorf("the healing began %s after the abort", late)
	}
	why := " ada says: enough"
	if told := []string{"start ", "injected ", "abort" + why, "heal" + why, "end" + why}; !slices.Equal(w.told, told) {
		t.Errorf("hooks were told %q, not %q", w.told, told)
	}
}

// Temporal takes no more than 2 MB of a drill, and could not end one that has more.
func TestTheEvidenceOfALongDrillCanBeKept(t *testing.T) {
	w, p := well(), plan()
	w.said = []byte(`"` + strings.Repeat("x", 500) + `"`)
	w.started, w.acted, w.recovered = 0, 0, 0
	p.Watch, p.Expect.Alert, p.Expect.Runbook = model.Duration(time.Hour), nil, nil
	p.Expect.Recovered.Within, p.Faults[0].For, p.Steady[0].AbortAfter = model.Duration(time.Hour), model.Duration(time.Hour), model.Duration(2*time.Hour)
	d := w.play(t, p)
	text, err := json.Marshal(d)
	if err != nil || len(text) > 1_500_000 || len(d.Evidence.Probes[0].Samples) < 7000 {
		t.Errorf("%d bytes of %d looks (%v)", len(text), len(d.Evidence.Probes[0].Samples), err)
	}
	if looks := d.Evidence.Probes[0].Samples; looks[0].Output == nil || looks[len(looks)/2].Output != nil || looks[len(looks)-1].Error != "" {
		t.Error("what looks gave is not kept as it should be")
	}
}

// Nobody waits under a fault for what can not come any more.
func TestADrillWhoseInjectionFailsHealsAtOnce(t *testing.T) {
	w := well()
	w.injectFail = errors.New("refused")
	d := w.play(t, plan())
	if i := d.Evidence.Injections[0]; i.HealIssued.Sub(i.Requested) > time.Second { // with two tries more
		t.Errorf("it healed after %s", i.HealIssued.Sub(i.Requested))
	}
}

// A person's word ends the tries to heal what could not be healed, and nothing else.
func TestAPersonHealsByHand(t *testing.T) {
	for name, c := range map[string]struct {
		after, longest time.Duration
		verdict        verdict.Name
		heals          bool // at last
	}{
		"what is stuck":          {3 * time.Minute, 5 * time.Minute, verdict.HealFailed, false},
		"before anything failed": {2 * time.Second, time.Hour, verdict.Passed, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := well()
			w.healFails, w.settle = 12, c.after
			d := w.play(t, plan())
			injection := d.Evidence.Injections[0]
			if d.Verdict.Verdict != c.verdict || injection.Healed.IsZero() == c.heals {
				t.Errorf("%s, healed at %s after %d tries: %s", d.Verdict.Verdict, injection.Healed, w.heals, injection.HealError)
			}
			if said := strings.Contains(injection.HealError, "bob said that it is healed: restarted it"); said == c.heals {
				t.Errorf("the evidence says: %s", injection.HealError)
			}
			if took := d.EndedAt.Sub(w.injected); took > c.longest {
				t.Errorf("the drill ended %s after the injection", took)
			}
		})
	}
}
