package drills

import (
	"fmt"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/workflows"
)

// Gameday is the life of one drill. It ends in a verdict, and not before
// everything that it injected is healed.
func Gameday(ctx workflow.Context, q Request) (Drill, error) {
	d := newDrill(ctx, q)
	if err := workflow.SetQueryHandler(ctx, QueryDrill, func() (Drill, error) { return d.Drill, nil }); err != nil {
		return d.Drill, fmt.Errorf("answer queries: %w", err)
	}
	d.listen(ctx)
	d.Evidence.Started = d.clock(d.always)
	if d.plan(q) && d.preflight() && d.baseline() {
		d.injectAndWatch()
	}
	d.heal()
	d.settle()
	d.conclude()
	return d.Drill, nil
}

// drill is a game day under way. Everything in it lives on the workflow's one
// logical thread.
type drill struct {
	Drill
	// watching ends with an abort; always does not end, so that healing is never
	// cancelled.
	watching, always workflow.Context
	stopWatching     workflow.CancelFunc

	attended bool
	settled  map[int]Stop // injections that a person healed, by place in the evidence
	token    int64
	notGood  map[string]time.Time // since when each probe is not good
	said     int                  // bytes that the evidence has of what looks gave
}

func newDrill(ctx workflow.Context, q Request) *drill {
	now := workflow.GetInfo(ctx).WorkflowStartTime
	if q.ID == "" {
		q.ID, _ = IDOf(workflow.GetInfo(ctx).WorkflowExecution.ID)
	}
	d := &drill{
		Drill:   Drill{ID: q.ID, Gameday: q.Gameday, By: q.By, Phase: Planning, StartedAt: now},
		settled: map[int]Stop{},
		notGood: map[string]time.Time{},
	}
	d.Evidence = gameday.Evidence{ID: q.ID}
	d.always, _ = workflow.NewDisconnectedContext(ctx)
	d.watching, d.stopWatching = workflow.WithCancel(d.always)
	return d
}

// listen takes the signals, and the cancellation of the workflow.
func (d *drill) listen(ctx workflow.Context) {
	seen := workflow.GetSignalChannel(ctx, SignalSeen)
	attend := workflow.GetSignalChannel(ctx, SignalAttend)
	abort := workflow.GetSignalChannel(ctx, SignalAbort)
	settle := workflow.GetSignalChannel(ctx, SignalSettle)
	workflow.Go(d.always, func(always workflow.Context) {
		cancelled := false
		for {
			s := workflow.NewSelector(always)
			s.AddReceive(seen, func(c workflow.ReceiveChannel, _ bool) {
				var one Seen
				c.Receive(always, &one)
				d.seen(one)
			})
			s.AddReceive(attend, func(c workflow.ReceiveChannel, _ bool) {
				var engine string
				c.Receive(always, &engine)
				d.arrived(engine)
			})
			s.AddReceive(abort, func(c workflow.ReceiveChannel, _ bool) {
				var stop Stop
				c.Receive(always, &stop)
				d.abort(gameday.AbortPerson, fmt.Sprintf("%s says: %s", stop.By, stop.Reason))
			})
			s.AddReceive(settle, func(c workflow.ReceiveChannel, _ bool) {
				var stop Stop
				c.Receive(always, &stop)
				d.settledBy(stop)
			})
			if !cancelled {
				s.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {
					cancelled = true
					d.abort(gameday.AbortPerson, "the workflow was cancelled")
				})
			}
			s.Select(always)
		}
	})
}

// arrived keeps each engine once: it says so again when it is not sure to have
// been heard.
func (d *drill) arrived(engine string) {
	d.attended = true
	known := slices.ContainsFunc(d.Evidence.Engines, func(a gameday.Arrival) bool { return a.Name == engine })
	if !known {
		d.Evidence.Engines = append(d.Evidence.Engines, gameday.Arrival{At: d.now(), Name: engine})
	}
}

// abort ends the drill early, once. Healing begins at once.
func (d *drill) abort(by, why string) {
	if d.Evidence.Abort != nil || d.over() {
		return
	}
	d.Evidence.Abort = &gameday.Abort{At: d.now(), By: by, Why: why}
	d.stopWatching()
	workflow.Go(d.always, func(ctx workflow.Context) { d.hook(ctx, "abort") }) // nothing waits for it
}

// over: from healing on there is nothing to abort.
func (d *drill) over() bool {
	switch d.Phase {
	case Healing, Settling, Concluding, Ended:
		return true
	}
	return false
}

// clock is the time of the engine, by which everything in the evidence is timed:
// that of the Temporal server may be another.
func (d *drill) clock(ctx workflow.Context) time.Time {
	var now time.Time
	if err := d.local(ctx, ActivityClock, &now); err != nil {
		return d.now()
	}
	return now
}

func (d *drill) aborted() bool  { return d.Evidence.Abort != nil }
func (d *drill) now() time.Time { return workflow.Now(d.always) }
func (d *drill) note(format string, args ...any) {
	d.Evidence.Notes = append(d.Evidence.Notes, fmt.Sprintf(format, args...))
}

func (d *drill) check(name string, state gameday.State, text string) bool {
	d.Evidence.Preflight = append(d.Evidence.Preflight, gameday.Check{Name: name, State: state, Text: text})
	return state == gameday.OK
}

// plan resolves the game day, unless it came resolved.
func (d *drill) plan(q Request) bool {
	q.ID = d.ID
	if q.Plan != nil {
		d.Plan = *q.Plan
	} else if err := d.local(d.always, ActivityPlan, &d.Plan, q); err != nil {
		return d.check("plan", gameday.Failed, message(err))
	}
	d.Evidence.Digest = d.Plan.Digest
	d.list(workflows.KeyRunbook.ValueSet(d.Plan.Gameday), workflows.KeySource.ValueSet("gameday"))
	return true
}

// preflight asks everything that can be known before something is touched.
func (d *drill) preflight() bool {
	d.Phase = Preflight
	if !d.attendance() {
		return false
	}
	var ready Ready
	err := workflow.ExecuteActivity(d.within(d.watching, time.Minute, 3), ActivityPreflight, d.task()).Get(d.watching, &ready)
	if err != nil {
		return d.check("preflight", gameday.Unknown, message(err))
	}
	d.Evidence.Preflight = append(d.Evidence.Preflight, ready.Checks...)
	d.token = ready.Token
	for _, c := range d.Evidence.Preflight {
		if !c.Passed() {
			return false
		}
	}
	d.hook(d.always, "start")
	return !d.aborted()
}

// attendance waits until an engine reports what comes by its webhook.
func (d *drill) attendance() bool {
	came, err := workflow.AwaitWithTimeout(d.watching, attendIn, func() bool { return d.attended })
	switch {
	case err != nil:
		return false
	case !came:
		return d.check("webhook", gameday.Unknown, fmt.Sprintf("no engine has said within %s that it reports its alerts to the drill", attendIn))
	}
	return d.check("webhook", gameday.OK, "the engine reports its alerts to the drill")
}

// baseline sees the system well before anything is done to it.
func (d *drill) baseline() bool {
	d.Phase = Baseline
	began := d.now()
	for !d.aborted() {
		if !d.look() {
			return false
		}
		switch {
		case d.wellFor(2 * chunk):
			return d.check("baseline", gameday.OK, "every steady probe is good")
		case d.now().Sub(began) >= baselineFor:
			return d.check("baseline", gameday.Failed, fmt.Sprintf("not every steady probe was good within %s: %s", baselineFor, d.unwell()))
		}
	}
	return false
}

// injectAndWatch injects the faults, each at its time, and watches until
// everything expected was seen, or the time is over.
func (d *drill) injectAndWatch() {
	began := d.now()
	if d.Plan.Control != gameday.NoFault {
		d.Phase = Injecting
		for i, f := range d.Plan.Faults {
			d.injectAt(i, time.Duration(f.After))
		}
	}
	end := began.Add(time.Duration(d.Plan.Watch))
	for !d.aborted() && d.now().Before(end) && !d.seenAll() && !d.tooLate() {
		if !d.look() {
			return
		}
	}
}

// injectAt injects a fault after a while, beside the watching. That something
// may be in the system is on record before the injector is called.
func (d *drill) injectAt(i int, after time.Duration) {
	f := d.Plan.Faults[i]
	if after == 0 {
		requested := d.request(f, d.clock(d.always))
		at := len(d.Evidence.Injections)
		d.Evidence.Injections = append(d.Evidence.Injections, requested)
		workflow.Go(d.watching, func(ctx workflow.Context) { d.inject(ctx, i, at) })
		return
	}
	workflow.Go(d.watching, func(ctx workflow.Context) {
		if workflow.Sleep(ctx, after) != nil || d.over() {
			return
		}
		requested := d.request(f, d.clock(ctx))
		if d.over() {
			return
		}
		at := len(d.Evidence.Injections)
		d.Evidence.Injections = append(d.Evidence.Injections, requested)
		d.inject(ctx, i, at)
	})
}

func (d *drill) request(f gameday.PlanFault, now time.Time) gameday.Injection {
	lasts := time.Duration(f.For)
	if lasts == 0 {
		lasts = chaos.DefaultMaxDuration
	}
	return gameday.Injection{
		ID: string(chaos.NewID(d.ID, f.ID)), Fault: f.ID, Requested: now, Deadline: now.Add(lasts),
	}
}

func (d *drill) inject(ctx workflow.Context, i, at int) {
	var done Injected
	call := d.call(i, at)
	err := workflow.ExecuteActivity(d.within(ctx, time.Minute, 3), ActivityInject, call).Get(ctx, &done)
	injection := &d.Evidence.Injections[at]
	injection.Targets, injection.Tries = done.Targets, max(1, done.Tries)
	if err != nil {
		injection.Error = message(err)
		d.stopWatching() // without it there is nothing to see
		return
	}
	injection.Injected, injection.There = done.At, done.At
	if d.Phase == Injecting {
		d.Phase = Watching
	}
	d.hook(ctx, "injected")
}

func (d *drill) call(i, at int) FaultCall {
	injection := d.Evidence.Injections[at]
	return FaultCall{Drill: d.ID, By: d.By, Gameday: d.Gameday, Fault: d.Plan.Faults[i], ID: injection.ID, Deadline: injection.Deadline, Limits: d.Plan.Limits}
}

// conclude judges, keeps the proof, and tells who is to know.
func (d *drill) conclude() {
	d.Phase = Concluding
	d.Evidence.Ended = d.clock(d.always)
	var v verdict.Verdict
	if err := d.local(d.always, ActivityJudge, &v, d.Plan, d.Evidence); err != nil {
		v = verdict.Verdict{Verdict: verdict.Inconclusive, Reasons: []verdict.Reason{{Code: "not_judged", Text: message(err)}}}
	}
	d.Verdict = &v
	d.list(workflows.KeyOutcome.ValueSet(string(v.Verdict)), workflows.KeyReason.ValueSet(workflows.Listed(v.Reasons[0].Text)))
	if err := workflow.ExecuteActivity(d.within(d.always, time.Minute, 10), ActivityConclude, d.result()).Get(d.always, nil); err != nil {
		d.note("the end of the drill could not be recorded: %s", message(err))
	}
	d.hook(d.always, "end")
	d.EndedAt = d.now()
	d.Phase = Ended
}

// list shows the drill in lists.
func (d *drill) list(attributes ...temporal.SearchAttributeUpdate) {
	if err := workflow.UpsertTypedSearchAttributes(d.always, attributes...); err != nil {
		d.note("the drill is not shown in lists as it should be: %s", err)
	}
}

func (d *drill) result() Result {
	return Result{ID: d.ID, By: d.By, Plan: d.Plan, Verdict: *d.Verdict, Token: d.token, Ended: d.Evidence.Ended}
}

// hook tells who else wants to know, beside the drill. A hook that fails stops
// nothing.
func (d *drill) hook(ctx workflow.Context, event string) {
	if d.Plan.Hooks == (gameday.Hooks{}) {
		return
	}
	h := HookCall{Drill: d.ID, Gameday: d.Gameday, Event: event, At: d.now(), Hooks: d.Plan.Hooks}
	if d.aborted() {
		h.Why = d.Evidence.Abort.Why
	}
	if d.Verdict != nil {
		h.Verdict = string(d.Verdict.Verdict)
	}
	if err := workflow.ExecuteActivity(d.within(ctx, 10*time.Second, 2), ActivityHook, h).Get(ctx, nil); err != nil {
		d.note("hook at %s: %s", event, message(err))
	}
}

func (d *drill) local(ctx workflow.Context, name string, out any, args ...any) error {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{
		StartToCloseTimeout: 10 * time.Second, RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, MaximumAttempts: 4},
	})
	return workflow.ExecuteLocalActivity(ctx, name, args...).Get(ctx, out)
}

// within is how activities of a drill are called: with a limit for one attempt.
func (d *drill) within(ctx workflow.Context, limit time.Duration, attempts int32) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: limit, HeartbeatTimeout: workflows.HeartbeatTimeout,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, MaximumInterval: 5 * time.Second, MaximumAttempts: attempts},
	})
}
