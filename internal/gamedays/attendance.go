package gamedays

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/workflows/drills"
)

const (
	attendEvery = time.Second
	maxActive   = 100
	maxWaiting  = 10_000
)

// Attendance knows the drills under way, and tells each what comes by the
// webhook of this engine.
type Attendance struct {
	service *Service
	engine  string
	log     *slog.Logger
	seen    chan drills.Seen

	mu     sync.Mutex
	active map[string]drill
}

type drill struct {
	plan  gameday.Plan
	sieve gameday.Sieve
}

// NewAttendance makes an attendance, which Run keeps up to date. It speaks for
// one process: the same engine, started again, is another one to the drills.
func NewAttendance(s *Service, engine string, log *slog.Logger) *Attendance {
	return &Attendance{service: s, engine: engine + " " + rand.Text(), log: log, seen: make(chan drills.Seen, maxWaiting), active: map[string]drill{}}
}

// Run looks for drills and passes on what is seen, until ctx ends.
func (a *Attendance) Run(ctx context.Context) {
	go a.passOn(ctx)
	ticker := time.NewTicker(attendEvery)
	defer ticker.Stop()
	for {
		if err := a.look(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the drills under way can not be listed; those that are known stay", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (a *Attendance) look(ctx context.Context) error {
	rows, err := a.service.List(ctx, Filter{Running: true, Limit: maxActive})
	if err != nil {
		return err
	}
	running := map[string]bool{}
	for _, row := range rows {
		running[row.ID] = true
		if !a.knows(row.ID) {
			a.attend(ctx, row.ID)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for id := range a.active {
		if !running[id] {
			delete(a.active, id)
		}
	}
	return nil
}

func (a *Attendance) knows(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, known := a.active[id]
	return known
}

// attend begins to report to a drill, and tells it so. One that has no plan yet
// is asked again.
func (a *Attendance) attend(ctx context.Context, id string) {
	d, err := a.service.Get(ctx, id)
	if err != nil || d.Plan.Gameday == "" {
		return
	}
	sieve, err := d.Plan.Sieve()
	if err != nil {
		return // its pre-flight says so
	}
	one := drill{plan: d.Plan, sieve: sieve}
	a.mu.Lock()
	a.active[id] = one
	a.mu.Unlock()
	if err := a.service.tell(ctx, id, drills.SignalAttend, a.engine); err != nil && !errors.Is(err, ErrEnded) {
		a.log.Warn("a drill can not be told that its alerts are reported; it is tried again", "drill", id, "error", err)
		a.mu.Lock()
		delete(a.active, id)
		a.mu.Unlock()
	}
}

// Seen passes an alert on to every drill under way. It never blocks: what a drill
// does not hear of is missing from its evidence, and never a pass.
func (a *Attendance) Seen(s drills.Seen) {
	if !a.any() {
		return
	}
	select {
	case a.seen <- s:
	default:
		a.log.Error("an alert could not be reported to the drills under way: too many are waiting", "fingerprint", s.Alert.Fingerprint)
	}
}

func (a *Attendance) any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.active) > 0
}

func (a *Attendance) passOn(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-a.seen:
			for id, d := range a.drills() {
				if !d.sieve.Concerns(s.Alert.Labels) {
					continue
				}
				s.Expected, s.Real = d.sieve.Expected(s.Alert.Labels), d.sieve.Real(s.Alert.Labels)
				a.report(ctx, id, s)
			}
		}
	}
}

func (a *Attendance) drills() map[string]drill {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.active)
}

const reportTries = 3

func (a *Attendance) report(ctx context.Context, id string, s drills.Seen) {
	var err error
	for range reportTries {
		err = a.service.client.SignalWorkflow(ctx, drills.WorkflowID(id), "", drills.SignalSeen, s)
		var missing *serviceerror.NotFound
		if err == nil || errors.As(err, &missing) {
			return
		}
	}
	a.log.Error("an alert could not be reported to a drill", "drill", id, "fingerprint", s.Alert.Fingerprint, "error", err)
}

// Suspends names the drill that keeps a runbook from acting, to see what happens
// without it, or gives "".
func (a *Attendance) Suspends(runbook string, set map[string]string) string {
	return a.find(runbook, set, func(p gameday.Plan) bool { return p.Control == gameday.NoRemedy })
}

// Tries names the drill that is to prove a runbook, on the alert that the drill
// waits for, or gives "". For its own drill a runbook needs no proof.
func (a *Attendance) Tries(runbook string, set map[string]string) string {
	return a.find(runbook, set, func(p gameday.Plan) bool { return p.Control == "" })
}

func (a *Attendance) find(runbook string, set map[string]string, is func(gameday.Plan) bool) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, d := range a.active {
		if d.plan.Proves != nil && d.plan.Proves.Runbook == runbook && is(d.plan) && d.sieve.Expected(set) {
			return id
		}
	}
	return ""
}
